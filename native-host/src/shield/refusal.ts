/** How each protocol of the shield's port says why there is no connection. */
import { type ErrorCode, errorTable } from '@nightjar/shared/errors'
import { reply, type SocksReply } from './socks.ts'

interface Refusal {
  readonly socks: SocksReply
  readonly http: 403 | 502 | 503 | 504
}

const notAllowed: Refusal = { socks: reply.notAllowed, http: 403 }
const noHost: Refusal = { socks: reply.hostUnreachable, http: 502 }
const noNetwork: Refusal = { socks: reply.networkUnreachable, http: 503 }

const refusals: Partial<Record<ErrorCode, Refusal>> = {
  'host-not-listed': notAllowed,
  'host-blocked': notAllowed,
  'address-forbidden': notAllowed,
  refused: notAllowed,
  'name-not-found': noHost,
  'host-unreachable': noHost,
  'connection-reset': noHost,
  'limit-reached': { socks: reply.failed, http: 503 },
  'too-many-sites': { socks: reply.failed, http: 503 },
  'timed-out': { socks: reply.ttlExpired, http: 504 },
}

const reasons = { 403: 'Forbidden', 502: 'Bad Gateway', 503: 'Service Unavailable', 504: 'Gateway Timeout' } as const

export function socksRefusal(code: ErrorCode): SocksReply {
  return (refusals[code] ?? noNetwork).socks
}

/** A whole response to CONNECT: the code in a header, the sentence in the body. */
export function httpRefusal(code: ErrorCode): string {
  const { http } = refusals[code] ?? noNetwork
  return response(http, reasons[http], `${errorTable[code].sentence}\n`, [`nightjar-error: ${code}`])
}

/** A response that ends the connection. */
export function response(status: number, reason: string, body: string, headers: readonly string[] = []): string {
  return [
    `HTTP/1.1 ${status} ${reason}`,
    'content-type: text/plain; charset=utf-8',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
    ...headers,
    '',
    body,
  ].join('\r\n')
}
