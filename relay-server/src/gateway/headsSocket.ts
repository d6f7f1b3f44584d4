/**
 * A provider's newest blocks as it pushes them: `eth_subscribe` of `newHeads` over a WebSocket, each header followed by a
 * question for its block, so that what comes is what polling would give. A socket that fails is opened again after a time
 * that doubles. What it carries is the same for every client of the chain.
 */
import { NightjarError } from '@nightjar/shared/errors'
import { limits } from '@nightjar/shared/limits'
import { type Call, type Json, type Outcome, parseOutcome } from '@nightjar/shared/rpc'
import { type Clock, minute, second, type Timer } from '@nightjar/shared/runtime'
import { WebSocket } from 'ws'
import { authorization } from './credentials.ts'
import { hash, isObject, objectOf, quantity, resultOf, textOf } from './fields.ts'

/** Where new blocks come from without being asked for. */
export interface PushedHeads {
  /** Tells `listener` until `stop`. */
  start(listener: PushListener): void
  stop(): void
  /** What it told was found to be out of date: it begins anew. */
  doubt(): void
}

export interface PushListener {
  /** The answer of `eth_getBlockByNumber` or `eth_getBlockByHash`, without transactions. */
  onBlock(outcome: Outcome): void
  /** Nothing comes for now. */
  onLost(): void
}

export interface HeadsSocketOptions {
  /** `ws://` or `wss://`. */
  readonly url: string
  readonly chain: number
  readonly localAddress?: string | undefined
  readonly clock: Clock
}

const firstPause = 1 * second
const longestPause = 1 * minute
/** For the handshake, and for each answer. */
const patience = 10 * second

export class HeadsSocket implements PushedHeads {
  readonly #options: HeadsSocketOptions
  #listener: PushListener | undefined
  #connection: Connection | undefined
  #again: Timer | undefined
  #pause = firstPause

  constructor(options: HeadsSocketOptions) {
    this.#options = options
  }

  start(listener: PushListener): void {
    this.#listener = listener
    this.#pause = firstPause
    this.#open()
  }

  stop(): void {
    this.#listener = undefined
    this.#again?.cancel()
    const connection = this.#connection
    this.#connection = undefined
    connection?.close()
  }

  doubt(): void {
    this.#connection?.close()
  }

  #open(): void {
    const connection = new Connection(this.#options, {
      onBlock: (outcome) => {
        if (this.#connection !== connection) return
        this.#pause = firstPause
        this.#listener?.onBlock(outcome)
      },
      onLost: () => {
        if (this.#connection !== connection) return
        this.#connection = undefined
        this.#again = this.#options.clock.after(this.#pause, () => this.#open())
        this.#pause = Math.min(this.#pause * 2, longestPause)
        this.#listener?.onLost()
      },
    })
    this.#connection = connection
  }
}

/** One socket, from its opening to its end. */
class Connection {
  readonly #options: HeadsSocketOptions
  readonly #listener: PushListener
  readonly #socket: WebSocket
  readonly #asked = new Map<number, { resolve(outcome: Outcome): void; reject(error: unknown): void; expiry: Timer }>()
  #lastId = 0
  /** The newest header's hash, until its block is asked for. */
  #wanted: string | undefined
  #isFetching = false
  #isOver = false

  constructor(options: HeadsSocketOptions, listener: PushListener) {
    this.#options = options
    this.#listener = listener
    this.#socket = new WebSocket(withoutCredentials(options.url), {
      perMessageDeflate: false,
      handshakeTimeout: patience,
      maxPayload: limits.localFrameBytes,
      followRedirects: false,
      headers: authorization(new URL(options.url)),
      ...(options.localAddress === undefined ? {} : { localAddress: options.localAddress }),
    })
    this.#socket.on('open', () => void this.#begin())
    this.#socket.on('message', (data) => this.#read(String(data)))
    // 'close' follows.
    this.#socket.on('error', () => this.close())
    this.#socket.on('close', () => this.close())
  }

  close(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#socket.terminate()
    for (const { reject, expiry } of this.#asked.values()) {
      expiry.cancel()
      reject(new NightjarError('upstream-failed'))
    }
    this.#asked.clear()
    this.#listener.onLost()
  }

  async #begin(): Promise<void> {
    try {
      const id = textOf(resultOf(await this.#ask({ method: 'eth_chainId' })), 'chain', quantity)
      if (BigInt(id) !== BigInt(this.#options.chain)) throw new NightjarError('upstream-failed', { detail: 'chain' })
      resultOf(await this.#ask({ method: 'eth_subscribe', params: ['newHeads'] }))
      this.#listener.onBlock(await this.#ask({ method: 'eth_getBlockByNumber', params: ['latest', false] }))
    } catch {
      // Whatever it was: without heads the socket is of no use, and its end is told.
      this.close()
    }
  }

  #ask(call: Call): Promise<Outcome> {
    if (this.#isOver) return Promise.reject(new NightjarError('upstream-failed'))
    const id = ++this.#lastId
    return new Promise((resolve, reject) => {
      const expiry = this.#options.clock.after(patience, () => this.close())
      this.#asked.set(id, { resolve, reject, expiry })
      this.#socket.send(JSON.stringify({ jsonrpc: '2.0', id, method: call.method, params: call.params ?? [] }))
    })
  }

  #read(text: string): void {
    try {
      const message = objectOf(JSON.parse(text) as Json, 'message')
      if (message.method === 'eth_subscription') {
        this.#wanted = hashIn(message.params)
        return void this.#fetch()
      }
      const asked = typeof message.id === 'number' ? this.#asked.get(message.id) : undefined
      if (asked === undefined) return
      this.#asked.delete(message.id as number)
      asked.expiry.cancel()
      asked.resolve(parseOutcome(message))
    } catch {
      // It does not speak JSON-RPC.
      this.close()
    }
  }

  /** One block at a time: of headers that come faster than their blocks, the newest counts. */
  async #fetch(): Promise<void> {
    if (this.#isFetching) return
    this.#isFetching = true
    try {
      for (let wanted = this.#wanted; wanted !== undefined; wanted = this.#wanted) {
        this.#wanted = undefined
        const outcome = await this.#ask({ method: 'eth_getBlockByHash', params: [wanted, false] })
        if (!this.#isOver) this.#listener.onBlock(outcome)
      }
    } catch {
      // As above.
      this.close()
    }
    this.#isFetching = false
  }
}

/** @throws NightjarError `upstream-failed` */
function hashIn(params: Json | undefined): string {
  const header = params !== undefined && isObject(params) ? params.result : undefined
  return textOf(objectOf(header ?? null, 'header').hash, 'hash', hash)
}

function withoutCredentials(address: string): URL {
  const url = new URL(address)
  url.username = ''
  url.password = ''
  return url
}
