/**
 * What a connection must pass before a byte of it is read: how many come, how many have not become links yet, and how
 * many come from one address. Then it has a deadline until it is a link, or until its one question is answered.
 */
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { limits } from '@nightjar/shared/limits'
import type { Clock, Timer } from '@nightjar/shared/runtime'
import { TokenBucket } from './bucket.ts'
import type { LinkRefusal } from './link.ts'
import { forwardedAddress, type Proxies, plainAddress } from './proxies.ts'

/** Why an address gets no connection. */
export type AddressRefusal = Extract<LinkRefusal, 'address-rate' | 'address-connections'>

/** Counts connections by address, for all processes behind one port: one of them may have to ask another. */
export interface IpGate {
  /** Counts a connection of `address`; undefined where it may have it. */
  admit(address: string): AddressRefusal | undefined | Promise<AddressRefusal | undefined>
  /** One that was admitted is over. */
  release(address: string): void
}

export interface DoorOptions {
  readonly clock: Clock
  /** Without it every address has as many as it likes. */
  readonly ipGate?: IpGate | undefined
  /** Connections of these are counted for those they speak for. */
  readonly proxies?: Proxies | undefined
  onRefused?(refusal: LinkRefusal): void
}

export class Door {
  readonly #options: DoorOptions
  readonly #accepts: TokenBucket
  /** Deadlines of connections that are no links, by `keyOf`. */
  readonly #halfOpen = new Map<string, Timer>()

  constructor(options: DoorOptions) {
    this.#options = options
    this.#accepts = new TokenBucket(options.clock, { perSecond: limits.acceptsPerSecond, atOnce: limits.acceptsAtOnce })
  }

  /** Whether `socket`, which is not being read yet, may go on. Where not, it is reset. */
  async enter(socket: Socket): Promise<boolean> {
    // What went wrong is told by its `close`; until it is handed on nobody else listens.
    socket.on('error', () => {})
    const refusal = this.#count(socket) ?? (await this.#countAddress(socket, this.#directAddress(socket)))
    if (refusal === undefined) return !socket.destroyed
    this.#options.onRefused?.(refusal)
    socket.resetAndDestroy()
    return false
  }

  /** Why the client that a listed proxy speaks for gets no link; undefined where it does, and for everybody else. */
  async enterForwarded(request: IncomingMessage): Promise<LinkRefusal | undefined> {
    const { proxies, onRefused } = this.#options
    const peer = plainAddress(request.socket.remoteAddress ?? '')
    if (proxies?.has(peer) !== true) return undefined
    const refusal = await this.#countAddress(request.socket, forwardedAddress(request.headers, peer, proxies))
    if (refusal !== undefined) onRefused?.(refusal)
    return refusal
  }

  /** It asked something that is no upgrade, and has some time to take the answer. */
  asked(socket: Socket): void {
    const key = keyOf(socket)
    if (!this.#halfOpen.has(key)) return
    this.#halfOpen.get(key)?.cancel()
    this.#halfOpen.set(key, this.#deadline(socket, limits.answerTimeout))
  }

  /** It is a link now. */
  linked(socket: Socket): void {
    this.#forget(keyOf(socket))
  }

  #count(socket: Socket): LinkRefusal | undefined {
    if (!this.#accepts.take(1)) return 'accept-rate'
    if (this.#halfOpen.size >= limits.halfOpen) return 'half-open'
    const key = keyOf(socket)
    this.#halfOpen.set(key, this.#deadline(socket, limits.upgradeTimeout))
    socket.once('close', () => this.#forget(key))
    return undefined
  }

  async #countAddress(socket: Socket, address: string | undefined): Promise<LinkRefusal | undefined> {
    const { ipGate } = this.#options
    if (ipGate === undefined || address === undefined) return undefined
    let refusal: LinkRefusal | undefined
    try {
      refusal = await ipGate.admit(address)
    } catch {
      // Nobody counts: then nobody comes in.
      return 'address-unknown'
    }
    if (refusal !== undefined) return refusal
    if (socket.destroyed) ipGate.release(address)
    else socket.once('close', () => ipGate.release(address))
    return undefined
  }

  /** Undefined for proxies, whose clients are known when the headers are read. */
  #directAddress(socket: Socket): string | undefined {
    const address = plainAddress(socket.remoteAddress ?? '')
    return this.#options.proxies?.has(address) === true ? undefined : address
  }

  #deadline(socket: Socket, delay: number): Timer {
    return this.#options.clock.after(delay, () => {
      this.#options.onRefused?.('slow-upgrade')
      socket.destroy()
    })
  }

  #forget(key: string): void {
    this.#halfOpen.get(key)?.cancel()
    this.#halfOpen.delete(key)
  }
}

/** The same for a connection and for the TLS on top of it, which Node gives out as two sockets. */
function keyOf(socket: Socket): string {
  return `${socket.remoteAddress} ${socket.remotePort}`
}
