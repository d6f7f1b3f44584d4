/**
 * The service `tcp`: a stream that an exit joins with a TCP connection to a listed host. The argument of its BEGIN is
 * `host:port` in UTF-8; no data comes with it. The exit answers CONNECTED once the connection stands, or END with
 * `host-not-listed`, `address-forbidden`, `name-not-found`, `host-unreachable`, `timed-out` or `limit-reached`. From then
 * on DATA is what the connection carries, and END (`done`) its FIN, in each direction by itself.
 */
import { fromUtf8, utf8 } from '../bytes/index.ts'
import { violation } from '../errors/index.ts'

export const tcpService = 'tcp'

export interface Target {
  readonly host: string
  readonly port: number
}

export function encodeTarget({ host, port }: Target): Uint8Array {
  return utf8(`${host}:${port}`)
}

/** @throws NightjarError `protocol-violation` where it is no `host:port`; the host may still be any text. */
export function decodeTarget(argument: Uint8Array): Target {
  const [, host, port] = /^(.+):([1-9][0-9]{0,4})$/.exec(fromUtf8(argument)) ?? []
  if (host === undefined || Number(port) > 65_535) throw violation('target of a tcp stream')
  return { host, port: Number(port) }
}
