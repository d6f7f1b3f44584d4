/** The client's config.yaml, and the places of its files. */
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fromBase64 } from '@nightjar/shared/bytes'
import { size } from '@nightjar/shared/crypto'
import type { Trust } from '@nightjar/shared/directory'
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
  wallets: v.optional(v.array(v.pipe(v.string(), v.regex(/^[a-z0-9@._-]{1,80}$/, 'must be an extension id'))), [
    metaMask,
  ]),
  chains: v.optional(v.array(v.pipe(v.number(), v.safeInteger(), v.minValue(1))), [1, 11155111]),
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
  /** The local socket; on Windows a named pipe. */
  readonly socket: string
  /** Folders to be made before use, each of mode 0700. */
  readonly folders: readonly string[]
}

/** Where files are: the XDG folders, or NIGHTJAR_HOME for all of them. */
export function placesFrom(environment: NodeJS.ProcessEnv): Places {
  // An empty variable counts as unset (XDG Base Directory Specification).
  const folderIn = (variable: string) => environment[variable] || undefined
  const home = folderIn('NIGHTJAR_HOME')
  const below = (variable: string, fallback: string) =>
    home ?? join(folderIn(variable) ?? join(homedir(), fallback), 'nightjar')
  const config = below('XDG_CONFIG_HOME', '.config')
  const state = below('XDG_STATE_HOME', '.local/state')
  const runtime =
    home ?? join(folderIn('XDG_RUNTIME_DIR') ?? join(tmpdir(), `nightjar-${process.getuid?.() ?? 0}`), 'nightjar')
  const pipe = `\\\\.\\pipe\\nightjar-${(home ?? homedir()).replace(/[^a-zA-Z0-9]/g, '-')}`
  return {
    config: join(config, 'config.yaml'),
    state: join(state, 'state.json'),
    document: join(state, 'newest-network.json'),
    socket: process.platform === 'win32' ? pipe : join(runtime, 'nightjar.sock'),
    folders: [...new Set([config, state, runtime])],
  }
}
