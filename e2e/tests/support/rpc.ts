/** JSON-RPC over HTTP as wallets send it, with every header and the socket in the caller's hands. */
import { Agent, type IncomingHttpHeaders, type OutgoingHttpHeaders, request } from 'node:http'

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  /** The local port of the socket that it came on: the same port is the same socket. */
  readonly localPort: number
  /** The text as JSON. */
  json(): RpcBody
}

export interface RpcBody {
  readonly jsonrpc?: string
  readonly id?: unknown
  readonly result?: unknown
  readonly error?: { readonly code: number; readonly message: string; readonly data?: unknown }
}

export interface HttpOptions {
  readonly method?: string
  readonly headers?: OutgoingHttpHeaders
  readonly agent?: Agent | false
}

/** An agent that keeps one socket and uses it for all requests, one at a time, as MetaMask's browser does. */
export function oneSocket(): Agent {
  return new Agent({ keepAlive: true, maxSockets: 1 })
}

/** Sends `body` as it is. */
export function http(url: string, body: string | Buffer, options: HttpOptions = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { method = 'POST', agent = false, headers } = options
    const outgoing = request(
      url,
      {
        method,
        agent,
        headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body), ...headers },
      },
      (response) => {
        const localPort = response.socket.localPort ?? 0
        const parts: Buffer[] = []
        response.on('data', (part: Buffer) => parts.push(part))
        response.on('error', reject)
        response.on('end', () => {
          const text = Buffer.concat(parts).toString('utf8')
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            text,
            localPort,
            json: () => JSON.parse(text) as RpcBody,
          })
        })
      },
    )
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

export function encodeCall(method: string, params: readonly unknown[] = [], id: unknown = 1): string {
  return JSON.stringify({ jsonrpc: '2.0', id, method, params })
}

/** One call; its answer may be an error. */
export async function ask(
  url: string,
  method: string,
  params: readonly unknown[] = [],
  options: HttpOptions = {},
): Promise<RpcBody> {
  return (await http(url, encodeCall(method, params), options)).json()
}

/** One call as an extension sends it. */
export function fromWallet(id: string): HttpOptions {
  return { headers: { origin: `chrome-extension://${id}`, 'sec-fetch-site': 'none' } }
}

/** Our own code in an error, such as `network-unreachable`. */
export function codeOf(body: RpcBody): unknown {
  const data = body.error?.data
  return typeof data === 'object' && data !== null && 'nightjar' in data ? data.nightjar : undefined
}
