/**
 * The server's side of a SOCKS5 handshake (RFC 1928), CONNECT only, and of its user/password sub-negotiation (RFC 1929),
 * whose credentials are no secret: they keep connections apart, like Tor's IsolateSOCKSAuth. Bytes in, bytes out; time
 * and sockets are proxyPort.ts's.
 *
 *     client                                             here
 *     5 ‖ count ‖ methods                             →  5 ‖ method        2 where it is offered, else 0, else 255 and the end
 *     1 ‖ length ‖ user ‖ length ‖ password           →  1 ‖ 0             after method 2; whatever they are
 *     5 ‖ command ‖ 0 ‖ type ‖ address ‖ port u16     →  5 ‖ reply ‖ 0 ‖ 1 ‖ 0.0.0.0 ‖ 0
 */
import { concat, hex, readU16 } from '@nightjar/shared/bytes'

/** What a client of either protocol wants to be connected to. */
export interface Ask {
  /** A name or an address, as the client wrote it; anything at all. */
  readonly host: string
  readonly port: number
  /** Keeps the connection apart from those with others; empty where none were given. */
  readonly credentials: string
}

export type SocksStep =
  /** `reply` is to be sent, and the rest of the handshake to come. */
  | { readonly state: 'waiting'; readonly reply: Uint8Array }
  /** It is answered with `socksReply`. `rest` came early, and is for the host. */
  | { readonly state: 'asked'; readonly reply: Uint8Array; readonly ask: Ask; readonly rest: Uint8Array }
  /** Nothing that is served here: `reply` is to be sent, and the connection closed. */
  | { readonly state: 'refused'; readonly reply: Uint8Array }

/** RFC 1928, section 6. */
export const reply = {
  succeeded: 0,
  failed: 1,
  notAllowed: 2,
  networkUnreachable: 3,
  hostUnreachable: 4,
  ttlExpired: 6,
  commandUnknown: 7,
  addressTypeUnknown: 8,
} as const
export type SocksReply = (typeof reply)[keyof typeof reply]

export const socksVersion = 5
const loginVersion = 1
const method = { none: 0, login: 2, unacceptable: 255 } as const
const commandConnect = 1
const nothing = new Uint8Array(0)

/** The answer to the request. The bound address stays unsaid: it is the exit's. */
export function socksReply(code: SocksReply): Uint8Array {
  return Uint8Array.of(socksVersion, code, 0, 1, 0, 0, 0, 0, 0, 0)
}

/** What one message of the client comes to, and how long it was; undefined while it is cut off. */
type Parsed = { readonly length: number; readonly step: SocksStep } | undefined

export class SocksHandshake {
  #parse: (bytes: Uint8Array) => Parsed = (bytes) => this.#greeting(bytes)
  /** The beginning of a message: fewer than 513 bytes, which is the longest. */
  #held: Uint8Array = nothing
  #credentials = ''

  /** Takes what came from the client. Not to be called again once it is `asked` or `refused`. */
  push(bytes: Uint8Array): SocksStep {
    let left = concat(this.#held, bytes)
    let said: Uint8Array = nothing
    for (;;) {
      const parsed = this.#parse(left)
      if (parsed === undefined) break
      left = left.subarray(parsed.length)
      said = concat(said, parsed.step.reply)
      if (parsed.step.state === 'asked') return { ...parsed.step, reply: said, rest: left }
      if (parsed.step.state === 'refused') return { ...parsed.step, reply: said }
    }
    this.#held = left
    return { state: 'waiting', reply: said }
  }

  #greeting(bytes: Uint8Array): Parsed {
    const [version, count] = bytes
    if (version !== undefined && version !== socksVersion) return refuse(nothing)
    if (count === undefined || bytes.length < 2 + count) return undefined
    const offered = bytes.subarray(2, 2 + count)
    const chosen = [method.login, method.none].find((each) => offered.includes(each))
    if (chosen === undefined) return refuse(Uint8Array.of(socksVersion, method.unacceptable))
    this.#parse = chosen === method.login ? (next) => this.#login(next) : (next) => this.#request(next)
    return goOn(2 + count, Uint8Array.of(socksVersion, chosen))
  }

  #login(bytes: Uint8Array): Parsed {
    const [version, userLength] = bytes
    if (version !== undefined && version !== loginVersion) return refuse(nothing)
    if (userLength === undefined) return undefined
    const passwordLength = bytes[2 + userLength]
    if (passwordLength === undefined) return undefined
    const length = 3 + userLength + passwordLength
    if (bytes.length < length) return undefined
    this.#credentials = `${hex(bytes.subarray(2, 2 + userLength))}:${hex(bytes.subarray(3 + userLength, length))}`
    this.#parse = (next) => this.#request(next)
    return goOn(length, Uint8Array.of(loginVersion, 0))
  }

  #request(bytes: Uint8Array): Parsed {
    const [version, command, , type] = bytes
    if (version !== undefined && version !== socksVersion) return refuse(nothing)
    if (command !== undefined && command !== commandConnect) return refuse(socksReply(reply.commandUnknown))
    if (type === undefined) return undefined
    const address = addressOf(type, bytes.subarray(4))
    if (address === 'unknown') return refuse(socksReply(reply.addressTypeUnknown))
    if (address === undefined || bytes.length < 4 + address.length + 2) return undefined
    const ask = { host: address.host, port: readU16(bytes, 4 + address.length), credentials: this.#credentials }
    return { length: 4 + address.length + 2, step: { state: 'asked', reply: nothing, ask, rest: nothing } }
  }
}

/** The address at the front of `bytes` and the room it takes; undefined while it is cut off. */
function addressOf(type: number, bytes: Uint8Array): { host: string; length: number } | 'unknown' | undefined {
  if (type === 3) {
    const [length] = bytes
    if (length === undefined || bytes.length < 1 + length) return undefined
    return { host: String.fromCharCode(...bytes.subarray(1, 1 + length)), length: 1 + length }
  }
  const length = type === 1 ? 4 : type === 4 ? 16 : undefined
  if (length === undefined) return 'unknown'
  if (bytes.length < length) return undefined
  // In a form that no name has: addresses are never on the list.
  return { host: `[${hex(bytes.subarray(0, length))}]`, length }
}

function goOn(length: number, said: Uint8Array): Parsed {
  return { length, step: { state: 'waiting', reply: said } }
}

function refuse(said: Uint8Array): Parsed {
  return { length: 0, step: { state: 'refused', reply: said } }
}
