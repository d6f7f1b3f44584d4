/** The client's config.yaml, and the places of its files. */
import { createHash } from 'node:crypto'
import { lstat, mkdir } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fromBase64 } from '@nightjar/shared/bytes'
import { size } from '@nightjar/shared/crypto'
import type { Trust } from '@nightjar/shared/directory'
import { NightjarError } from '@nightjar/shared/errors'
import { limits } from '@nightjar/shared/limits'
import { second } from '@nightjar/shared/runtime'
import { fileError } from '@nightjar/shared-node/config'
import { logLevels } from '@nightjar/shared-node/log'
import * as v from 'valibot'

const port = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(65535))

const directoryKey = v.pipe(
  v.string(),
  v.check((text) => {
    try {
      return fromBase64(text).length === size.key
    } catch {
      // Not base64: reported by the check's message.
      return false
    }
  }, 'must be the base64 text of a 32-byte Ed25519 key'),
)

/** The store id of MetaMask. */
const metaMask = 'nkbihfbeogaeaoehlefnkodbefgpgknn'

export const configSchema = v.strictObject({
  network: v.strictObject({
    document: v.pipe(v.string(), v.minLength(1)),
    trust: v.pipe(
      v.strictObject({
        keys: v.pipe(v.array(directoryKey), v.minLength(1)),
        threshold: v.pipe(v.number(), v.integer(), v.minValue(1)),
      }),
      v.check((trust) => trust.threshold <= new Set(trust.keys).size, 'must not ask for more signatures than keys'),
    ),
    refresh_minutes: v.optional(v.pipe(v.number(), v.minValue(1), v.maxValue(24 * 60)), 30),
    ca_file: v.optional(v.string()),
  }),
  endpoint: v.optional(v.strictObject({ port: v.optional(port, 8645) }), {}),
  shield: v.optional(v.strictObject({ port: v.optional(port, 0) }), {}),
  wallets: v.optional(v.array(v.pipe(v.string(), v.regex(/^[a-z0-9@._-]{1,80}$/, 'must be an extension id'))), [
    metaMask,
  ]),
  chains: v.optional(
    v.pipe(v.array(v.pipe(v.number(), v.safeInteger(), v.minValue(1))), v.minLength(1)),
    [1, 11155111],
  ),
  accounts: v.optional(
    v.strictObject({
      apart: v.optional(v.boolean(), true),
      linking: v.optional(v.picklist(['refuse', 'alone']), 'refuse'),
      freshness_seconds: v.optional(v.pipe(v.number(), v.minValue(1), v.maxValue(limits.watchDelay / second)), 12),
      cold_spread_seconds: v.optional(v.pipe(v.number(), v.minValue(0), v.maxValue(14_400)), 1800),
      compare_calls: v.optional(v.boolean(), true),
    }),
    {},
  ),
  profile: v.optional(v.picklist(['fast']), 'fast'),
  log: v.optional(v.strictObject({ level: v.optional(v.picklist(logLevels), 'info') }), {}),
})

export type Config = v.InferOutput<typeof configSchema>

export function trustOf(config: Config): Trust {
  return { keys: config.network.trust.keys.map(fromBase64), threshold: config.network.trust.threshold }
}

export interface Places {
  readonly config: string
  readonly state: string
  /** The newest network document, kept for a start without a connection. */
  readonly document: string
  /** Number of the daemon's process, for `nightjar stop`. */
  readonly pid: string
  /** The script that browsers start, written by `nightjar install`. */
  readonly wrapper: string
  /** The local socket; on Windows a named pipe. */
  readonly socket: string
  /** Folders to be made before use, each of mode 0700. */
  readonly folders: readonly string[]
  /** The one of them that lies where everybody may write, and so might be somebody else's; see `claimSocket`. */
  readonly exposed: string | undefined
}

/** What `placesFrom` reads; the wrapper hands the same on, so that browser and command line mean the same daemon. */
export const placeVariables = ['XDG_CONFIG_HOME', 'XDG_STATE_HOME', 'XDG_RUNTIME_DIR'] as const

/** Where files are: the XDG folders, or NIGHTJAR_HOME for all of them. */
export function placesFrom(environment: NodeJS.ProcessEnv): Places {
  const home = folderIn(environment, 'NIGHTJAR_HOME')
  const below = (variable: (typeof placeVariables)[number], fallback: string) =>
    home ?? join(folderIn(environment, variable) ?? fallback, 'nightjar')
  const config = below('XDG_CONFIG_HOME', join(homedir(), '.config'))
  const state = below('XDG_STATE_HOME', join(homedir(), '.local/state'))
  const runtime = below('XDG_RUNTIME_DIR', exposedIn(tmpdir()))
  const files = {
    config: join(config, 'config.yaml'),
    state: join(state, 'state.json'),
    document: join(state, 'newest-network.json'),
    pid: join(state, 'daemon.pid'),
    wrapper: join(state, process.platform === 'win32' ? 'nightjar-host.bat' : 'nightjar-host'),
  }
  if (process.platform === 'win32') {
    const socket = `\\\\.\\pipe\\nightjar-${(home ?? homedir()).replace(/[^a-zA-Z0-9]/g, '-')}`
    return { ...files, socket, folders: [...new Set([config, state])], exposed: undefined }
  }
  const socket = withinLimit(join(runtime, 'nightjar.sock'))
  const exposed = [exposedIn(tmpdir()), exposedIn('/tmp')].find((folder) => socket.startsWith(`${folder}/`))
  return { ...files, socket, folders: [...new Set([config, state, dirname(socket)])], exposed }
}

/** An absolute path, as the wrapper and the daemon start in other folders; an empty variable counts as unset (XDG). */
export function folderIn(environment: NodeJS.ProcessEnv, variable: string): string | undefined {
  const folder = environment[variable]
  return folder === undefined || folder === '' ? undefined : resolve(folder)
}

/** Room for a path in the system's `sun_path`, which ends in a NUL. */
const socketPathBytes = process.platform === 'linux' ? 107 : 103

/** `socket`, or where that is too long a short path that is always the same for it, whatever TMPDIR says. */
function withinLimit(socket: string): string {
  if (Buffer.byteLength(socket) <= socketPathBytes) return socket
  const hash = createHash('sha256').update(socket).digest('hex').slice(0, 16)
  return join(exposedIn('/tmp'), `${hash}.sock`)
}

function exposedIn(temporary: string): string {
  return join(temporary, `nightjar-${process.getuid?.() ?? 0}`)
}

/**
 * The path of the local socket, once its folder is known to be the user's own: in a folder of somebody else's there
 * could listen somebody else.
 * @throws NightjarError `file-unusable`
 */
export async function claimSocket({ socket, exposed }: Places): Promise<string> {
  if (exposed !== undefined && !(await isOwn(exposed))) {
    const detail = `${exposed} must be a folder of yours of mode 0700; remove it, or set NIGHTJAR_HOME to a short path`
    throw new NightjarError('file-unusable', { detail })
  }
  return socket
}

async function isOwn(folder: string): Promise<boolean> {
  try {
    await mkdir(folder, { mode: 0o700 })
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw fileError(folder, cause)
  }
  // Of a symbolic link this tells about the link itself.
  const found = await lstat(folder)
  return found.isDirectory() && found.uid === process.getuid?.() && (found.mode & 0o077) === 0
}
