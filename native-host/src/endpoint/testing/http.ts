/** A caller of the endpoint that decides every header, which `fetch` does not allow. */
import { Agent, type IncomingHttpHeaders, request } from 'node:http'

export interface Reply {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  /** Parsed where it is any. */
  readonly json: unknown
  /** The caller's port: the same for two replies where they came over one socket. */
  readonly socketPort: number | undefined
}

export interface Call {
  readonly method?: string
  readonly path?: string
  readonly headers?: Readonly<Record<string, string>>
  /** Text goes as it is, anything else as JSON. */
  readonly body?: unknown
}

/** One socket, kept alive from call to call. */
export class Caller {
  readonly #port: number
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 })

  constructor(port: number) {
    this.#port = port
  }

  send({ method = 'POST', path = '/', headers = {}, body }: Call): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const target = { host: '127.0.0.1', port: this.#port, agent: this.#agent, method, path, headers }
      const outgoing = request(target, (response) => {
        // Read now: a socket that goes back to the agent is no longer known to the response.
        const socketPort = response.socket.localPort
        const parts: Buffer[] = []
        response.on('data', (part: Buffer) => parts.push(part))
        response.on('error', reject)
        response.on('end', () => {
          const text = Buffer.concat(parts).toString()
          const isJson = text !== '' && response.headers['content-type'] === 'application/json'
          const json: unknown = isJson ? JSON.parse(text) : undefined
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text, json, socketPort })
        })
      })
      outgoing.on('error', reject)
      outgoing.end(body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body))
    })
  }

  close(): void {
    this.#agent.destroy()
  }
}
