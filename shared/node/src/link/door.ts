/**
 * What a connection goes through that has passed the front (front.ts): how many there are that are no links yet, a deadline
 * until it is one, or until its one question is answered, and whom it speaks for where a proxy opened it.
 */
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { limits } from '@nightjar/shared/limits'
import type { Clock, Timer } from '@nightjar/shared/runtime'
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
  /** Where addresses were counted, and clients of proxies are. Without it every address has as many as it likes. */
  readonly ipGate?: IpGate | undefined
  /** Connections of these are counted for those they speak for. */
  readonly proxies?: Proxies | undefined
  onRefused?(refusal: LinkRefusal): void
}

export class Door {
  readonly #options: DoorOptions
  /** Deadlines of connections that are no links, by `keyOf`. */
  readonly #halfOpen = new Map<string, Timer>()

  constructor(options: DoorOptions) {
    this.#options = options
  }

  /** Whether `socket`, which is not being read yet and was counted for `address`, may go on. Where not, it is reset. */
  enter(socket: Socket, address: string | undefined): boolean {
    // Whoever reads it listens for more; what goes wrong until then is told by its `close`.
    socket.on('error', () => {})
    if (address !== undefined) this.#releaseWith(socket, address)
    if (this.#halfOpen.size >= limits.halfOpen) {
      this.#options.onRefused?.('half-open')
      socket.resetAndDestroy()
      return false
    }
    if (socket.destroyed) return false
    const key = keyOf(socket)
    this.#halfOpen.set(key, this.#deadline(socket, limits.upgradeTimeout))
    socket.once('close', () => this.#forget(key))
    return true
  }

  /** Whose a connection is: the peer's, or of the client that a listed proxy speaks for. Undefined where it is over. */
  addressOf(request: IncomingMessage): string | undefined {
    return this.#forwarded(request) ?? peerOf(request)
  }

  /** Why the client that a listed proxy speaks for gets no link; undefined where it does, and for everybody else. */
  async enterForwarded(request: IncomingMessage): Promise<LinkRefusal | undefined> {
    const address = this.#forwarded(request)
    if (address === undefined) return undefined
    const refusal = await this.#count(request.socket, address)
    if (refusal !== undefined) this.#options.onRefused?.(refusal)
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

  /** Whom a listed proxy speaks for; undefined where the peer is none. */
  #forwarded(request: IncomingMessage): string | undefined {
    const { proxies } = this.#options
    const peer = peerOf(request)
    if (peer === undefined || proxies?.has(peer) !== true) return undefined
    return forwardedAddress(request.headers, peer, proxies)
  }

  async #count(socket: Socket, address: string): Promise<LinkRefusal | undefined> {
    const { ipGate } = this.#options
    if (ipGate === undefined) return undefined
    let refusal: LinkRefusal | undefined
    try {
      refusal = await ipGate.admit(address)
    } catch {
      // Nobody counts: then nobody comes in.
      return 'address-unknown'
    }
    if (refusal === undefined) this.#releaseWith(socket, address)
    return refusal
  }

  #releaseWith(socket: Socket, address: string): void {
    const release = () => this.#options.ipGate?.release(address)
    if (socket.destroyed) release()
    else socket.once('close', release)
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

function peerOf({ socket: { remoteAddress } }: IncomingMessage): string | undefined {
  return remoteAddress === undefined ? undefined : plainAddress(remoteAddress)
}

/** The same for a connection and for the TLS on top of it, which Node gives out as two sockets. */
function keyOf(socket: Socket): string {
  return `${socket.remoteAddress} ${socket.remotePort}`
}
