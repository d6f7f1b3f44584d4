/**
 * The RPC providers of one chain, asked over pooled HTTP. They see a POST from this gateway with a content type, a
 * method and parameters, and nothing of the client: no header, no id, no order.
 */

import { partSize } from '@nightjar/shared/circuit'
import { NightjarError } from '@nightjar/shared/errors'
import { limits } from '@nightjar/shared/limits'
import { type Call, type Outcome, parseOutcome } from '@nightjar/shared/rpc'
import { second } from '@nightjar/shared/runtime'
import { Pool } from 'undici'

export interface UpstreamConfig {
  readonly url: string
  /** Share of the requests, beside the other upstreams of the chain. */
  readonly weight: number
}

export interface UpstreamOptions {
  readonly upstreams: readonly UpstreamConfig[]
  /** Milliseconds for an answer. */
  readonly timeout: number
  readonly localAddress?: string | undefined
  /** A number in [0, 1): chooses among the upstreams. */
  random(): number
}

interface Provider {
  readonly pool: Pool
  readonly path: string
  readonly authorization: string | undefined
  readonly weight: number
}

const connectionsPerProvider = 64
/** For all of an answer's body. */
const longestAnswer = 20 * second
const maxAnswerBytes = limits.answerCells * partSize

export class Upstreams {
  readonly #providers: readonly Provider[]
  readonly #random: () => number

  constructor(options: UpstreamOptions) {
    this.#random = options.random
    this.#providers = options.upstreams.map(({ url, weight }) => {
      const { origin, pathname, search, username, password } = new URL(url)
      const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
      return {
        pool: new Pool(origin, {
          connections: connectionsPerProvider,
          keepAliveTimeout: 30 * second,
          headersTimeout: options.timeout,
          bodyTimeout: options.timeout,
          ...(options.localAddress === undefined ? {} : { localAddress: options.localAddress }),
        }),
        path: `${pathname}${search}`,
        authorization: username === '' ? undefined : `Basic ${Buffer.from(credentials).toString('base64')}`,
        weight,
      }
    })
  }

  /**
   * Asks for something that may be asked twice: another provider is tried if one fails.
   * @throws NightjarError `upstream-failed` or `answer-too-large`
   */
  async read(call: Call, signal: AbortSignal): Promise<Outcome> {
    const order = this.#inOrderOfChoice()
    for (const provider of order.slice(0, -1)) {
      try {
        return await ask(provider, call, signal)
      } catch (error) {
        if (signal.aborted || !(error instanceof NightjarError) || error.code !== 'upstream-failed') throw error
      }
    }
    return ask(order.at(-1) as Provider, call, signal)
  }

  /** Asks one provider, once. @throws NightjarError `upstream-failed`: whether it was accepted is then unknown */
  once(call: Call): Promise<Outcome> {
    return ask(this.#inOrderOfChoice()[0] as Provider, call, undefined)
  }

  async close(): Promise<void> {
    await Promise.all(this.#providers.map(({ pool }) => pool.destroy()))
  }

  /** One by weighted chance, then the rest as configured. */
  #inOrderOfChoice(): readonly Provider[] {
    const total = this.#providers.reduce((sum, { weight }) => sum + weight, 0)
    let mark = this.#random() * total
    const index = this.#providers.findIndex(({ weight }) => {
      mark -= weight
      return mark < 0
    })
    const first = this.#providers[Math.max(index, 0)] as Provider
    return [first, ...this.#providers.filter((other) => other !== first)]
  }
}

async function ask(provider: Provider, call: Call, signal: AbortSignal | undefined): Promise<Outcome> {
  try {
    const { statusCode, body } = await provider.pool.request({
      path: provider.path,
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(provider.authorization === undefined ? {} : { authorization: provider.authorization }),
      },
      // The same id for everyone: ids are the connection's business, and this one tells nothing.
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: call.method, params: call.params ?? [] }),
      signal: signal ?? null,
    })
    const text = await readBounded(body)
    // Providers send JSON-RPC errors under various statuses; what is no JSON-RPC at all throws here.
    const outcome = parseOutcome(JSON.parse(text))
    if (statusCode >= 500 || statusCode === 429) throw new Error(`status ${statusCode}`)
    return outcome
  } catch (cause) {
    if (cause instanceof NightjarError && cause.code === 'answer-too-large') throw cause
    throw new NightjarError('upstream-failed', { cause })
  }
}

async function readBounded(body: AsyncIterable<Buffer>): Promise<string> {
  const parts: Buffer[] = []
  const begun = performance.now()
  let length = 0
  for await (const part of body) {
    length += part.length
    // The pool bounds the time between two parts; a trickle would never end.
    if (performance.now() - begun > longestAnswer) throw new Error('the answer takes too long')
    if (length > maxAnswerBytes) throw new NightjarError('answer-too-large')
    parts.push(part)
  }
  return Buffer.concat(parts, length).toString('utf8')
}
