/**
 * What the extension and the daemon say to each other, over native messaging and the daemon's local socket alike; the
 * `browser` and `failed` events are of the process between them.
 *
 * Each request has an id that its response repeats; events have none. Neither side trusts the other: the daemon sees
 * sealed records and opaque group labels only, and the extension checks everything that it could be lied to about
 * (gateway keys, network document, answers) by itself.
 *
 *     extension                                    daemon
 *     hello { bridge, version }                →   { bridge, version, proofKey }
 *     document                                 →   { text }                        the signed network document
 *     gateways { group, chain }                →   [{ relay, avoided }]            best first
 *     open { group, gateway, hello, hidesMiddle }  →  { branch, reply }            an envelope handshake on a new branch
 *     keep { branch, seconds }                 →   null                            see Carrier.keep
 *     exchange { branch, record }              →   { record }                      one sealed question, one sealed answer
 *     follow { branch, record, cells }         →   record events, null at its end  one sealed question, many answers
 *     cancel { request }                       →   null
 *     close { branch, failed }                 →   null
 *     status                                   →   Status                          and as an event when it changes
 */
import * as v from 'valibot'
import { fromBase64 } from '../bytes/index.ts'
import { NightjarError } from '../errors/index.ts'
import { limits } from '../limits.ts'
import { second } from '../runtime.ts'

/** Raised when one side would not understand the other. */
export const bridgeVersion = 4

const id = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
const chain = v.pipe(v.number(), v.safeInteger(), v.minValue(1))
const branch = v.pipe(v.number(), v.safeInteger(), v.minValue(1))
const keptSeconds = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(limits.keepLongest / second))
/** HMAC of the isolation group under a secret of the extension. */
const group = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/))
/** Ed25519 identity of a relay. */
const relay = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/))
const bytes = v.pipe(v.string(), v.rawTransform(decodeBytes))
const version = v.pipe(v.string(), v.maxLength(64))
const params = v.array(v.unknown())

const requests = v.variant('type', [
  v.strictObject({ id, type: v.literal('hello'), bridge: v.number(), version }),
  v.strictObject({ id, type: v.literal('status') }),
  v.strictObject({ id, type: v.literal('document') }),
  v.strictObject({ id, type: v.literal('gateways'), group, chain }),
  /** `hidesMiddle`: the gateway is not to see which middle it comes through (shared/accounts). */
  v.strictObject({ id, type: v.literal('open'), group, gateway: relay, hello: bytes, hidesMiddle: v.boolean() }),
  v.strictObject({ id, type: v.literal('keep'), branch, seconds: keptSeconds }),
  v.strictObject({ id, type: v.literal('exchange'), branch, record: bytes }),
  v.strictObject({ id, type: v.literal('follow'), branch, record: bytes, cells: v.pipe(v.number(), v.integer()) }),
  v.strictObject({ id, type: v.literal('cancel'), request: id }),
  /** `failed`: the gateway did not prove who it is, and is passed over for a while. */
  v.strictObject({ id, type: v.literal('close'), branch, failed: v.boolean() }),
  /** From the command line: one call in the clear, which the daemon seals itself. */
  v.strictObject({ id, type: v.literal('rpc'), chain, method: v.string(), params }),
])

export type BridgeRequest = v.InferOutput<typeof requests>
/** A request as it is sent: byte strings are base64 text. */
export type BridgeMessage = v.InferInput<typeof requests>

const error = v.strictObject({ code: v.number(), message: v.string(), data: v.optional(v.unknown()) })

const response = v.union([v.strictObject({ id, result: v.unknown() }), v.strictObject({ id, error })])

export type BridgeResponse = v.InferOutput<typeof response>

const party = v.object({ name: v.string(), operator: v.string(), region: v.string() })

/** One caller of the loopback endpoint, as far as the extension needs to know. */
const caller = v.object({
  /** `chrome-extension://ID`, or `local` for programs. */
  origin: v.string(),
  chain,
  /** Requests since the daemon's start. */
  requests: v.number(),
  /** When the last one came, in milliseconds since the Unix epoch. */
  last: v.number(),
})

/** What went through the shield today and what was blocked, by the local day; on this machine only. */
const count = v.number()
const shieldCounts = v.object({ shielded: count, blocked: count })

const shield = v.object({
  /** SOCKS5 and HTTP CONNECT on 127.0.0.1, for listed hosts. */
  port: v.number(),
  /** The same, but it refuses and counts everything: for hosts that are to be blocked. */
  sinkPort: v.number(),
  /** Whether both ports are listened on. */
  running: v.boolean(),
  /** Connections that stand now. */
  streams: count,
  /** Connections of today that were refused, as the host is not on the list. */
  refused: count,
  /** By category of the host list. */
  today: v.record(v.string(), shieldCounts),
  /** The busiest entries of the host list, 200 at most. */
  hosts: v.array(
    v.object({ suffix: v.string(), category: v.string(), ...shieldCounts.entries, lastError: v.optional(v.string()) }),
  ),
  /** An error code, of the last connection; null where that one stood. */
  lastError: v.nullable(v.string()),
})

/**
 * How accounts are kept apart, and how far answers could be checked. Names no account and no method; the lists hold the
 * newest of their kind, last.
 */
const accounts = v.object({
  /** Accounts that are watched, each chain for itself, and how many of them have no value yet. */
  watched: count,
  cold: count,
  /** How old a balance may be. */
  freshnessSeconds: v.number(),
  /** Answers, by what is known of them: proved against a block, the same from two gateways, neither, proved false. */
  verified: count,
  compared: count,
  unverified: count,
  refuted: count,
  /** Calls that named several accounts at once (`count`), and whether they were sent all the same or refused. */
  linking: v.array(v.object({ reason: v.string(), count, at: v.number(), sent: v.boolean() })),
  /** What gateways said that is proved false. */
  lies: v.array(v.object({ gateway: v.string(), what: v.string(), at: v.number() })),
  /** Where gateways contradict each other, and nobody can say which is right. */
  disputes: v.array(v.object({ gateways: v.array(v.string()), what: v.string(), at: v.number() })),
})

const status = v.object({
  /** `private`: all trunks stand; `degraded`: one does; `connecting`: none yet; `blocked`: none, and requests fail. */
  state: v.picklist(['connecting', 'private', 'degraded', 'blocked']),
  trunks: v.array(v.object({ entry: party, middle: party })),
  branches: v.number(),
  gateways: v.array(party),
  requests: v.object({ ok: v.number(), failed: v.number() }),
  /** Handshakes since the start in which a relay believed in another network document than ours. */
  divergingRelays: v.number(),
  /** Pinned guards that failed several times in a row: a sign of trouble on your line, or with that relay. */
  failingGuards: v.array(party),
  /** An error code, maybe of a newer version. */
  lastError: v.nullable(v.string()),
  profile: v.string(),
  /** URL of the endpoint for the first chain, with its token. */
  endpoint: v.string(),
  chains: v.array(chain),
  callers: v.array(caller),
  shield,
  accounts,
  version,
})

/** How the daemon is doing, as `nightjar status --json` prints it. */
export type Status = v.InferOutput<typeof status>
export type Party = v.InferOutput<typeof party>
export type Caller = v.InferOutput<typeof caller>
export type ShieldStatus = v.InferOutput<typeof shield>
export type AccountsStatus = v.InferOutput<typeof accounts>

const proxyAddress = v.pipe(v.string(), v.regex(/^.+:\d{1,5}$/), v.maxLength(300))

const systemProxy = v.variant('kind', [
  v.strictObject({
    kind: v.literal('fixed'),
    /** `host:port` each. */
    http: v.optional(proxyAddress),
    https: v.optional(proxyAddress),
    socks: v.optional(proxyAddress),
    /** Hosts that are reached without it, as the system writes them. */
    bypass: v.pipe(v.array(v.pipe(v.string(), v.maxLength(300))), v.maxLength(500)),
  }),
  /** A script, a search, or one that wants a password: nothing that can be chained to. */
  v.strictObject({ kind: v.literal('script') }),
])

/** The proxy that the system, or the environment that it was started in, gives a browser. */
export type SystemProxy = v.InferOutput<typeof systemProxy>

const event = v.variant('event', [
  v.strictObject({ event: v.literal('status'), status }),
  /** There is a newer network document than the one that was asked for. */
  v.strictObject({ event: v.literal('document') }),
  v.strictObject({ event: v.literal('record'), request: id, record: bytes }),
  /** The requests that were under way on it get no answer; whoever sealed them seals them again for another branch. */
  v.strictObject({ event: v.literal('branch-lost'), branch, code: v.string(), requests: v.array(id) }),
  /** From `nightjar host`, first of all: what it sees of the machine as the browser's child. */
  v.strictObject({ event: v.literal('browser'), systemProxy: v.nullable(systemProxy) }),
  /** From `nightjar host`: there is no daemon and none could be started. */
  v.strictObject({ event: v.literal('failed'), code: v.string(), detail: v.optional(v.string()) }),
])

export type BridgeEvent = v.InferOutput<typeof event>
export type BridgeEventMessage = v.InferInput<typeof event>

export const results = {
  hello: v.object({
    bridge: v.number(),
    version,
    /** Key that the endpoint proves possession of: whoever answers on its port with it is this daemon. */
    proofKey: bytes,
  }),
  status,
  document: v.object({ text: v.string() }),
  gateways: v.array(v.object({ relay, avoided: v.boolean() })),
  open: v.object({ branch, reply: bytes }),
  keep: v.null(),
  exchange: v.object({ record: bytes }),
  follow: v.null(),
  cancel: v.null(),
  close: v.null(),
} as const

export type BridgeResults = { readonly [T in keyof typeof results]: v.InferOutput<(typeof results)[T]> }
/** What the daemon sends: byte strings are base64 text. */
export type BridgeResultMessages = { readonly [T in keyof typeof results]: v.InferInput<(typeof results)[T]> }

/** @throws NightjarError `malformed-frame` */
export function parseBridgeRequest(value: unknown): BridgeRequest {
  return parse(requests, value)
}

/** @throws NightjarError `malformed-frame` */
export function parseBridgeResponse(value: unknown): BridgeResponse {
  return parse(response, value)
}

/** A response or an event, whichever it is. @throws NightjarError `malformed-frame` */
export function parseFromDaemon(value: unknown): BridgeResponse | BridgeEvent {
  return typeof value === 'object' && value !== null && 'event' in value ? parse(event, value) : parse(response, value)
}

/** The result of a request of `type`. @throws NightjarError `malformed-frame` */
export function parseResult<T extends keyof typeof results>(type: T, value: unknown): BridgeResults[T] {
  return parse(results[type], value) as BridgeResults[T]
}

function parse<S extends v.GenericSchema>(schema: S, value: unknown): v.InferOutput<S> {
  const result = v.safeParse(schema, value, { abortEarly: true })
  if (result.success) return result.output
  throw new NightjarError('malformed-frame', { detail: 'unknown message' })
}

function decodeBytes({ dataset, addIssue, NEVER }: v.RawTransformContext<string>): Uint8Array {
  try {
    return fromBase64(dataset.value)
  } catch {
    // Not base64: reported as the issue.
    addIssue({ message: 'not base64' })
    return NEVER
  }
}
