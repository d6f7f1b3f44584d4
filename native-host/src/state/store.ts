/**
 * What the client remembers between runs, in one versioned JSON file (0600, written atomically): its secret, the relays
 * it is pinned to, the endpoint's token, and the newest network document seen.
 */
import { readFile } from 'node:fs/promises'
import { base64, fromBase64, hex } from '@nightjar/shared/bytes'
import type { DocumentMark } from '@nightjar/shared/directory'
import { NightjarError } from '@nightjar/shared/errors'
import { writeAtomically } from '@nightjar/shared-node/config'
import * as v from 'valibot'

/** Base64 of a SHA-256 hash or a key: what is damaged is refused here, not at the first request. */
const bytes32 = v.pipe(
  v.string(),
  v.check((text) => {
    try {
      return fromBase64(text).length === 32
    } catch {
      // Not base64: the check's answer says so.
      return false
    }
  }),
)

const pin = v.strictObject({
  /** Ed25519 identity in hexadecimal. */
  relay: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
  /** When it was chosen, in milliseconds since the Unix epoch. */
  since: v.number(),
})

const assignment = v.strictObject({
  /** Keyed hash of the isolation group, in hexadecimal: the file does not say which sites or wallets were used. */
  group: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
  relay: pin.entries.relay,
  /** The beginning of the day (UTC) on which the group last asked, in milliseconds since the Unix epoch. */
  usedOn: v.number(),
  /** For how many milliseconds from then on it is kept: chosen by chance for each. */
  lapse: v.number(),
})

const stateSchema = v.strictObject({
  version: v.literal(2),
  /** Key of the rendezvous hashes. */
  secret: bytes32,
  /** Path segment that callers of the endpoint must know. */
  token: v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/)),
  guards: v.array(pin),
  middles: v.array(pin),
  /** Which gateways each group has: its own first, then those that stand in for it. */
  gateways: v.array(assignment),
  document: v.optional(v.strictObject({ version: v.number(), hash: bytes32 })),
})

export type Pin = v.InferOutput<typeof pin>
export type State = v.InferOutput<typeof stateSchema>

/** A state for a first run. */
export function freshState(randomBytes: (length: number) => Uint8Array): State {
  return {
    version: 2,
    secret: base64(randomBytes(32)),
    token: hex(randomBytes(16)),
    guards: [],
    middles: [],
    gateways: [],
  }
}

/** @throws NightjarError `file-unusable` where the file is there but not readable as a state of a known version */
export async function loadState(path: string, randomBytes: (length: number) => Uint8Array): Promise<State> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return freshState(randomBytes)
    throw unusable('cannot be read', cause)
  }
  try {
    return v.parse(stateSchema, JSON.parse(text))
  } catch (cause) {
    throw unusable('is damaged or from another version of Nightjar; move it away to start afresh', cause)
  }
}

export function saveState(path: string, state: State): Promise<void> {
  return writeAtomically(path, `${JSON.stringify(state, null, 2)}\n`, 0o600)
}

export function documentMarkOf(state: State): DocumentMark | undefined {
  const { document } = state
  return document === undefined ? undefined : { version: document.version, hash: fromBase64(document.hash) }
}

function unusable(detail: string, cause: unknown): NightjarError {
  return new NightjarError('file-unusable', { detail: `state.json ${detail}`, cause })
}
