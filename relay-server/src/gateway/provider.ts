/**
 * One RPC provider, asked over pooled HTTP. It sees a POST from this gateway with a content type, a method and parameters,
 * and nothing of the client: no header, no id, no order. Which provider is asked, and when, is decided elsewhere
 * (upstream.ts).
 */
import { type ErrorCode, NightjarError } from '@nightjar/shared/errors'
import { type Call, type Outcome, parseOutcome, type RpcError } from '@nightjar/shared/rpc'
import { type Clock, second } from '@nightjar/shared/runtime'
import { Pool } from 'undici'
import { limits } from '../limits/limits.ts'
import type { AnswerMemory } from './answerMemory.ts'
import { authorization } from './credentials.ts'
import { Crowded, Places } from './places.ts'

export interface ProviderOptions {
  readonly url: string
  /** Milliseconds for an answer; and for getting a connection to ask over. */
  readonly timeout: number
  readonly localAddress: string | undefined
  readonly maxAnswerBytes: number
  /** Of the process. */
  readonly memory: AnswerMemory
  readonly clock: Clock
}

/**
 * How a question to a provider ended. `abandoned`: nobody wanted the answer any more; `crowded`: it was never sent, as no
 * connection was free in time; `no-memory`: there was no room for its answer.
 */
export type UpstreamOutcome =
  | 'answered'
  | 'unreachable'
  | 'timed-out'
  | 'status'
  | 'garbled'
  | 'too-large'
  | 'abandoned'
  | 'crowded'
  | 'no-memory'

/**
 * A client's circuit, known by the signal of its end; or the gateway itself. Where memory is short, a large answer to a
 * client's own question is read no further. What the gateway asks by itself, for all, and what may not be asked twice, is
 * always read: it is little, and clients do not choose how much.
 */
export type Asker = AbortSignal | 'gateway'

const connectionsPerProvider = 64
/** For all of an answer's body. */
const longestAnswer = 20 * second

export class Provider {
  readonly #maxAnswerBytes: number
  readonly #memory: AnswerMemory
  readonly #places: Places
  readonly #pool: Pool
  readonly #path: string
  readonly #headers: Record<string, string>

  constructor(options: ProviderOptions) {
    const { url, timeout, localAddress, clock } = options
    const address = new URL(url)
    const { origin, pathname, search } = address
    this.#maxAnswerBytes = options.maxAnswerBytes
    this.#memory = options.memory
    this.#places = new Places({ places: connectionsPerProvider, patience: timeout, clock })
    this.#pool = new Pool(origin, {
      connections: connectionsPerProvider,
      keepAliveTimeout: 30 * second,
      connectTimeout: timeout,
      headersTimeout: timeout,
      bodyTimeout: timeout,
      ...(localAddress === undefined ? {} : { localAddress }),
    })
    this.#path = `${pathname}${search}`
    this.#headers = { 'content-type': 'application/json', ...authorization(address) }
  }

  /** @throws NightjarError `upstream-failed`, `answer-too-large` or `limit-reached`; `outcomeOf` tells how it ended */
  async ask(call: Call, signal: AbortSignal | undefined, asker: Asker): Promise<Outcome> {
    try {
      // The same id for everyone: ids are the connection's business, and this one tells nothing.
      const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: call.method, params: call.params ?? [] })
      if (!this.#places.takeFree(asker)) await this.#places.wait(asker, signal)
      const { status, text } = await this.#post(body, signal, asker)
      // Providers send JSON-RPC errors under various statuses; what is no JSON-RPC at all throws here.
      const outcome = status >= 500 || status === 429 ? undefined : parseOutcome(JSON.parse(text))
      if (outcome === undefined) throw new BadStatus(`status ${status}`)
      return outcome
    } catch (cause) {
      if (cause instanceof NightjarError && ownCodes.has(cause.code)) throw cause
      if (signal?.aborted) throw new NightjarError('upstream-failed', { cause: new Abandoned('abandoned', { cause }) })
      throw new NightjarError('upstream-failed', { cause, ...(cause instanceof Crowded && { facts: crowdedFacts }) })
    }
  }

  /** Through a handler rather than a stream of the body: that takes a third less of the processor for each request. */
  #post(body: string, signal: AbortSignal | undefined, asker: Asker): Promise<{ status: number; text: string }> {
    const maxBytes = this.#maxAnswerBytes
    const memory = this.#memory
    const request = { path: this.#path, method: 'POST', headers: this.#headers, body } as const
    return new Promise((resolve, reject) => {
      const parts: Buffer[] = []
      const begun = performance.now()
      let length = 0
      let status = 0
      let abandon = () => {}
      const over = () => {
        signal?.removeEventListener('abort', abandon)
        memory.held -= length
        this.#places.leave(asker)
      }
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
          memory.held += part.length
          if (length > maxBytes) controller.abort(new NightjarError('answer-too-large'))
          else if (asker !== 'gateway' && length > limits.littleAnswer && memory.freeForAll < 0)
            controller.abort(new NightjarError('limit-reached'))
          // The pool bounds the time between two parts; a trickle would never end.
          else if (performance.now() - begun > longestAnswer) controller.abort(new TooSlow('the answer takes too long'))
          else parts.push(part)
        },
        onResponseEnd() {
          over()
          resolve({ status, text: Buffer.concat(parts, length).toString('utf8') })
        },
        onResponseError(_, error) {
          over()
          reject(error)
        },
      })
    })
  }

  close(): Promise<void> {
    this.#places.close()
    return this.#pool.destroy()
  }
}

/** In what the client is told, and health: the question was not sent, which is nobody's fault. */
export const crowdedFacts = { crowded: true } as const

/** Whether `error`, as a client is told it, is that of a question that found no place. */
export function isCrowded({ data }: RpcError): boolean {
  return typeof data === 'object' && data !== null && 'crowded' in data && data.crowded === true
}

class BadStatus extends Error {}
class Abandoned extends Error {}
class TooSlow extends Error {}

/** What is the matter of the one who asks, and not of the provider. */
const ownCodes: ReadonlySet<ErrorCode> = new Set(['answer-too-large', 'limit-reached'])

const timeouts = new Set(['UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT', 'UND_ERR_CONNECT_TIMEOUT'])

/** How a question ended that `Provider.ask` threw `error` for. */
export function outcomeOf(error: unknown): Exclude<UpstreamOutcome, 'answered'> {
  if (!(error instanceof NightjarError)) return 'unreachable'
  if (error.code === 'answer-too-large') return 'too-large'
  if (error.code === 'limit-reached') return 'no-memory'
  const { cause } = error
  if (cause instanceof Abandoned) return 'abandoned'
  if (cause instanceof Crowded) return 'crowded'
  if (cause instanceof BadStatus) return 'status'
  if (cause instanceof SyntaxError || cause instanceof NightjarError) return 'garbled'
  if (cause instanceof TooSlow) return 'timed-out'
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  return typeof code === 'string' && timeouts.has(code) ? 'timed-out' : 'unreachable'
}
