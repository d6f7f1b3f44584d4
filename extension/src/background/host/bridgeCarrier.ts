/** A branch of the daemon's, across the bridge: it carries what is sealed here. */
import { base64 } from '@nightjar/shared/bytes'
import { asNightjarError, type NightjarError } from '@nightjar/shared/errors'
import type { Carrier, FollowHandler, Following } from '@nightjar/shared/requests'
import { second } from '@nightjar/shared/runtime'
import type { HostLink } from './hostLink.ts'

export class BridgeCarrier implements Carrier {
  readonly number: number
  readonly #bridge: Carriers
  readonly #closedListeners: ((error: NightjarError) => void)[] = []
  #error: NightjarError | undefined

  constructor(bridge: Carriers, number: number) {
    this.#bridge = bridge
    this.number = number
  }

  get error(): NightjarError | undefined {
    return this.#error
  }

  onClosed(listener: (error: NightjarError) => void): void {
    if (this.#error === undefined) this.#closedListeners.push(listener)
    else listener(this.#error)
  }

  keep(duration: number): void {
    this.#bridge.keep(this.number, duration)
  }

  async exchange(record: Uint8Array): Promise<Uint8Array> {
    const answer = await this.#bridge.link.ask('exchange', { branch: this.number, record: base64(record) })
    return answer.record
  }

  follow(record: Uint8Array, cells: number, handler: FollowHandler): Following {
    return this.#bridge.follow({ branch: this.number, record: base64(record), cells }, handler)
  }

  retire(failed = false): void {
    // Numbers are the connection's own: on a later one this may be another branch's.
    if (this.#error === undefined) this.#bridge.close(this.number, failed)
  }

  /** The daemon lost it, or was itself lost. */
  lost(error: NightjarError): void {
    if (this.#error !== undefined) return
    this.#error = error
    for (const listener of this.#closedListeners.splice(0)) listener(error)
  }
}

/** All carriers of one connection to the daemon. */
export class Carriers {
  readonly link: HostLink
  readonly #carriers = new Map<number, BridgeCarrier>()
  readonly #followed = new Map<number, FollowHandler>()

  constructor(link: HostLink) {
    this.link = link
  }

  /** Opens a branch to a gateway. @throws NightjarError why there is none */
  async open(
    way: { readonly group: string; readonly gateway: string; readonly hidesMiddle: boolean },
    hello: Uint8Array,
  ): Promise<{ reply: Uint8Array; carrier: BridgeCarrier }> {
    const { branch, reply } = await this.link.ask('open', { ...way, hello: base64(hello) })
    const carrier = new BridgeCarrier(this, branch)
    this.#carriers.set(branch, carrier)
    return { reply, carrier }
  }

  /** @param duration milliseconds */
  keep(number: number, duration: number): void {
    this.#tell(this.link.ask('keep', { branch: number, seconds: Math.round(duration / second) }))
  }

  follow(fields: { branch: number; record: string; cells: number }, handler: FollowHandler): Following {
    const { id, answer } = this.link.send('follow', fields)
    this.#followed.set(id, handler)
    const end = (code: Parameters<FollowHandler['onEnd']>[0]) => {
      if (this.#followed.delete(id)) handler.onEnd(code)
    }
    answer.then(
      () => end('done'),
      (error: unknown) => end(asNightjarError(error).code),
    )
    return {
      stop: () => {
        if (this.#followed.delete(id)) this.#tell(this.link.ask('cancel', { request: id }))
      },
    }
  }

  /** @param failed whether the gateway did not prove who it is */
  close(number: number, failed: boolean): void {
    this.#tell(this.link.ask('close', { branch: number, failed }))
  }

  onRecord(request: number, record: Uint8Array): void {
    this.#followed.get(request)?.onRecord(record)
  }

  onLost(number: number, error: NightjarError): void {
    this.#carriers.get(number)?.lost(error)
    this.#carriers.delete(number)
  }

  /** The connection is gone, and with it every branch. */
  loseAll(error: NightjarError): void {
    for (const carrier of [...this.#carriers.values()]) carrier.lost(error)
    this.#carriers.clear()
    for (const handler of [...this.#followed.values()]) handler.onEnd(error.code)
    this.#followed.clear()
  }

  /** Nobody waits for the answer; where the connection is gone, so is the branch. */
  #tell(answer: Promise<unknown>): void {
    answer.catch(() => undefined)
  }
}
