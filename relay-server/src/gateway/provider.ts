/**
 * One RPC provider, asked over pooled HTTP. It sees a POST from this gateway with a content type, a method and parameters,
 * and nothing of the client: no header, no id, no order. Which provider is asked, and when, is decided elsewhere
 * (upstream.ts).
 */
import { NightjarError } from '@nightjar/shared/errors'
import { type Call, type Outcome, parseOutcome } from '@nightjar/shared/rpc'
import { second } from '@nightjar/shared/runtime'
import { Pool } from 'undici'
import { authorization } from './credentials.ts'

export interface ProviderOptions {
  readonly url: string
  /** Milliseconds for an answer. */
  readonly timeout: number
  readonly localAddress: string | undefined
  readonly maxAnswerBytes: number
}

/** How a question to a provider ended. `abandoned`: nobody wanted the answer any more. */
export type UpstreamOutcome =
  | 'answered'
  | 'unreachable'
  | 'timed-out'
  | 'status'
  | 'garbled'
  | 'too-large'
  | 'abandoned'

const connectionsPerProvider = 64
/** For all of an answer's body. */
const longestAnswer = 20 * second

export class Provider {
  readonly #maxAnswerBytes: number
  readonly #pool: Pool
  readonly #path: string
  readonly #headers: Record<string, string>

  constructor(options: ProviderOptions) {
    const { url, timeout, localAddress } = options
    const address = new URL(url)
    const { origin, pathname, search } = address
    this.#maxAnswerBytes = options.maxAnswerBytes
    this.#pool = new Pool(origin, {
      connections: connectionsPerProvider,
      keepAliveTimeout: 30 * second,
      headersTimeout: timeout,
      bodyTimeout: timeout,
      ...(localAddress === undefined ? {} : { localAddress }),
    })
    this.#path = `${pathname}${search}`
    this.#headers = { 'content-type': 'application/json', ...authorization(address) }
  }

  /** @throws NightjarError `upstream-failed` or `answer-too-large`; `outcomeOf` tells how it ended */
  async ask(call: Call, signal: AbortSignal | undefined): Promise<Outcome> {
    try {
      // The same id for everyone: ids are the connection's business, and this one tells nothing.
      const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: call.method, params: call.params ?? [] })
      const { status, text } = await this.#post(body, signal)
      // Providers send JSON-RPC errors under various statuses; what is no JSON-RPC at all throws here.
      const outcome = status >= 500 || status === 429 ? undefined : parseOutcome(JSON.parse(text))
      if (outcome === undefined) throw new BadStatus(`status ${status}`)
      return outcome
    } catch (cause) {
      if (cause instanceof NightjarError && cause.code === 'answer-too-large') throw cause
      throw new NightjarError('upstream-failed', {
        cause: signal?.aborted ? new Abandoned('abandoned', { cause }) : cause,
      })
    }
  }

  /** Through a handler rather than a stream of the body: that takes a third less of the processor for each request. */
  #post(body: string, signal: AbortSignal | undefined): Promise<{ status: number; text: string }> {
    const maxBytes = this.#maxAnswerBytes
    const request = { path: this.#path, method: 'POST', headers: this.#headers, body } as const
    return new Promise((resolve, reject) => {
      const parts: Buffer[] = []
      const begun = performance.now()
      let length = 0
      let status = 0
      let abandon = () => {}
      this.#pool.dispatch(request, {
        onRequestStart(controller) {
          abandon = () => controller.abort(new Error('abandoned'))
          if (signal?.aborted) abandon()
          else signal?.addEventListener('abort', abandon, { once: true })
        },
        onResponseStart(_, code) {
          status = code
        },
        onResponseData(controller, part) {
          length += part.length
          if (length > maxBytes) controller.abort(new NightjarError('answer-too-large'))
          // The pool bounds the time between two parts; a trickle would never end.
          else if (performance.now() - begun > longestAnswer) controller.abort(new TooSlow('the answer takes too long'))
          else parts.push(part)
        },
        onResponseEnd() {
          signal?.removeEventListener('abort', abandon)
          resolve({ status, text: Buffer.concat(parts, length).toString('utf8') })
        },
        onResponseError(_, error) {
          signal?.removeEventListener('abort', abandon)
          reject(error)
        },
      })
    })
  }

  close(): Promise<void> {
    return this.#pool.destroy()
  }
}

class BadStatus extends Error {}
class Abandoned extends Error {}
class TooSlow extends Error {}

const timeouts = new Set(['UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT', 'UND_ERR_CONNECT_TIMEOUT'])

/** How a question ended that `Provider.ask` threw `error` for. */
export function outcomeOf(error: unknown): Exclude<UpstreamOutcome, 'answered'> {
  if (!(error instanceof NightjarError)) return 'unreachable'
  if (error.code === 'answer-too-large') return 'too-large'
  const { cause } = error
  if (cause instanceof Abandoned) return 'abandoned'
  if (cause instanceof BadStatus) return 'status'
  if (cause instanceof SyntaxError || cause instanceof NightjarError) return 'garbled'
  if (cause instanceof TooSlow) return 'timed-out'
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  return typeof code === 'string' && timeouts.has(code) ? 'timed-out' : 'unreachable'
}
