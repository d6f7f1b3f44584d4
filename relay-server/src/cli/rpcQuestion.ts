/**
 * One question of `doctor` to a provider over HTTP, and why there was no answer. Never in the words of Node or of the
 * provider: those may quote the URL, which may hold secrets.
 */
import { second } from '@nightjar/shared/runtime'
import { authorization } from '../gateway/credentials.ts'

const answerTimeout = 10 * second

export interface RpcAnswer {
  readonly result?: unknown
  readonly error?: unknown
}

export interface NoAnswer {
  readonly finding: string
  readonly remedy: string
}

const otherwise = 'Correct its URL, or ask its operator.'
const checkAccess = 'Check the URL, and with its operator whether the key in it is good.'

/** `question` is JSON. */
export async function askProvider(text: string, question: string): Promise<RpcAnswer | NoAnswer> {
  const { address, headers } = splitUrl(text)
  try {
    const response = await fetch(address, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: question,
      signal: AbortSignal.timeout(answerTimeout),
    })
    if (!response.ok) return ofStatus(response.status)
    const body: unknown = await response.json()
    if (typeof body === 'object' && body !== null && ('result' in body || 'error' in body)) return body
    return { finding: 'answers, but not with JSON-RPC', remedy: otherwise }
  } catch (error) {
    return ofError(error)
  }
}

export function isNoAnswer(answer: RpcAnswer | NoAnswer): answer is NoAnswer {
  return 'finding' in answer
}

/** Credentials go into a header. */
export function splitUrl(text: string): { address: URL; headers: { authorization?: string } } {
  const address = new URL(text)
  const headers = authorization(address)
  address.username = ''
  address.password = ''
  return { address, headers }
}

function ofStatus(status: number): NoAnswer {
  const finding = `answers with HTTP status ${status}`
  if (status === 401 || status === 403) return { finding, remedy: checkAccess }
  if (status === 404) return { finding, remedy: 'Correct the path of its URL; a key may be a part of that.' }
  if (status === 429) return { finding, remedy: 'Ask its operator for more quota, or name more providers.' }
  if (status >= 500) return { finding, remedy: 'It has a problem of its own: try again, or ask its operator.' }
  return { finding, remedy: otherwise }
}

/** What `fetch` threw, or a WebSocket told: by the system's or OpenSSL's code. */
export function ofError(error: unknown): NoAnswer {
  if (error instanceof SyntaxError) return { finding: 'answers, but not with JSON', remedy: otherwise }
  if (error instanceof Error && (error.name === 'TimeoutError' || error.name === 'AbortError')) {
    const seconds = answerTimeout / second
    return {
      finding: `gives no answer within ${seconds} s`,
      remedy: 'See whether a firewall is in the way; try again.',
    }
  }
  // The words of `ws` where the other side speaks HTTP, and no WebSocket.
  const status = /^Unexpected server response: (\d{3})$/.exec(error instanceof Error ? error.message : '')?.[1]
  if (status !== undefined) return ofStatus(Number(status))
  const code = codeIn(error)
  switch (code) {
    case 'ECONNREFUSED':
      return {
        finding: 'refuses connections: nothing listens at that host and port',
        remedy: 'Start it, or correct the host and port of its URL.',
      }
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return { finding: 'its name has no address', remedy: 'Correct the name, or the name servers of this machine.' }
    case 'ETIMEDOUT':
    case 'UND_ERR_CONNECT_TIMEOUT':
      return { finding: 'takes no connection in time', remedy: 'See whether a firewall is in the way; try again.' }
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return { finding: 'is not reachable from this machine', remedy: 'Check the network of this machine.' }
    case 'ECONNRESET':
    case 'EPIPE':
    case 'UND_ERR_SOCKET':
      return { finding: 'ends the connection without an answer', remedy: otherwise }
    default:
      if (code === undefined) return { finding: 'cannot be asked', remedy: otherwise }
      return {
        finding: `cannot be asked: ${code}`,
        remedy: /CERT|SSL|TLS|ISSUER/.test(code)
          ? 'Its TLS does not fit: correct the scheme or name of its URL, or its certificate.'
          : otherwise,
      }
  }
}

function codeIn(error: unknown): string | undefined {
  // `fetch` has the system's error as its cause; a socket tells it itself.
  const cause = error instanceof Error ? (error.cause ?? error) : undefined
  // Of a name with several addresses.
  const first: unknown = cause instanceof AggregateError ? cause.errors[0] : cause
  const code: unknown = first instanceof Error && 'code' in first ? first.code : undefined
  return typeof code === 'string' && /^[A-Z][A-Z0-9_]{0,63}$/.test(code) ? code : undefined
}
