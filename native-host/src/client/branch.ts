/**
 * One branch of one isolation group: a gateway's hop below a trunk's middle. It carries sealed records and does not know
 * who seals them: the daemon itself for its endpoint, or an extension across the bridge.
 */
import { collect, cutRecords, type Hop, type Stream } from '@nightjar/shared/circuit'
import { type Relay, responderOf } from '@nightjar/shared/directory'
import { recordSize } from '@nightjar/shared/envelope'
import { asNightjarError, NightjarError } from '@nightjar/shared/errors'
import { replySize } from '@nightjar/shared/handshake'
import { limits } from '@nightjar/shared/limits'
import type { Carrier, FollowHandler, Following } from '@nightjar/shared/requests'
import { service } from '@nightjar/shared/rpc'
import { type Clock, second, within } from '@nightjar/shared/runtime'
import type { TrunkSlot } from './trunk.ts'
import { watchHop } from './watch.ts'

const answerTimeout = 25 * second
const nothing = new Uint8Array(0)

export interface BranchOptions {
  readonly clock: Clock
  readonly slot: TrunkSlot
  readonly gateway: Relay
}

export class Branch implements Carrier {
  readonly gateway: Relay
  readonly slot: TrunkSlot
  readonly #hop: Hop
  readonly #clock: Clock
  readonly #freed: (() => void)[] = []
  #running = 0
  #retired = false
  lastUsed: number

  constructor(options: BranchOptions, hop: Hop) {
    this.gateway = options.gateway
    this.slot = options.slot
    this.#hop = hop
    this.#clock = options.clock
    this.lastUsed = options.clock.now()
    watchHop(hop, {
      clock: options.clock,
      code: 'timed-out',
      isBusy: () => this.#running > 0,
      before: options.slot.trunk?.hop,
    })
    hop.onClosed(() => this.#wakeAll())
  }

  get error(): NightjarError | undefined {
    return this.#hop.error
  }

  /** Exchanges under way. What is followed does not count: it may last for ever. */
  get running(): number {
    return this.#running
  }

  onClosed(listener: (error: NightjarError) => void): void {
    this.#hop.onClosed(listener)
  }

  retire(failed = false): void {
    this.#retired = true
    if (failed) this.#hop.close('handshake-failed')
    else if (this.#running === 0) this.#hop.close('branch-retired')
  }

  /** @throws NightjarError where no answer came: the branch was lost, or the time ran out */
  async exchange(record: Uint8Array): Promise<Uint8Array> {
    this.#refuseIfRetired()
    this.#running += 1
    this.slot.busy += 1
    this.lastUsed = this.#clock.now()
    try {
      // Looked at in the same step in which the stream is opened, or others would take the place meanwhile.
      while (!this.#hasFreeStream()) await new Promise<void>((resolve) => this.#freed.push(resolve))
      return await this.#send(service.rpc, record, recordSize(limits.answerCells), answerTimeout)
    } finally {
      this.#running -= 1
      this.slot.busy -= 1
      this.#freed.shift()?.()
      if (this.#retired && this.#running === 0) this.#hop.close('branch-retired')
    }
  }

  /** @throws NightjarError where the branch is gone, or has as many streams as it may */
  follow(record: Uint8Array, cells: number, handler: FollowHandler): Following {
    this.#refuseIfRetired()
    if (!this.#hasFreeStream()) throw new NightjarError('limit-reached', { detail: 'streams of a branch' })
    this.lastUsed = this.#clock.now()
    const cutting = cutRecords({
      stream: () => stream,
      size: recordSize(cells),
      onRecord: (each) => {
        this.lastUsed = this.#clock.now()
        handler.onRecord(each)
      },
      onEnd: handler.onEnd,
    })
    const stream: Stream = this.#hop.streams.open(service.heads, nothing, cutting, { data: record, end: true })
    return { stop: () => stream.reset('cancelled') }
  }

  /** Hands the gateway the hello of an envelope handshake, once. @throws NightjarError where no reply came */
  greet(hello: Uint8Array): Promise<Uint8Array> {
    return this.#send(service.envelope, hello, replySize, limits.handshakeTimeout)
  }

  /** Ends it whatever is under way. */
  close(): void {
    this.#hop.close()
  }

  #send(name: string, message: Uint8Array, maxBytes: number, timeout: number): Promise<Uint8Array> {
    let stream: Stream | undefined
    const answered = new Promise<Uint8Array>((resolve, reject) => {
      const handler = collect({
        stream: () => stream as Stream,
        maxBytes,
        onMessage: resolve,
        onFailure: (code) => reject(new NightjarError(code)),
      })
      stream = this.#hop.streams.open(name, nothing, handler, { data: message, end: true })
    })
    return within(this.#clock, timeout, answered, () => {
      stream?.reset('timed-out')
      return new NightjarError('timed-out', { detail: name === service.rpc ? 'answer' : 'envelope handshake' })
    })
  }

  #refuseIfRetired(): void {
    if (this.#retired) throw this.error ?? new NightjarError('branch-retired')
  }

  /** False where as many requests run as the branch may have streams. @throws NightjarError where the branch is gone */
  #hasFreeStream(): boolean {
    if (this.#hop.streams.isUsedUp) this.#hop.close('branch-retired')
    if (this.#hop.error !== undefined) throw this.#hop.error
    return this.#hop.streams.canOpen
  }

  #wakeAll(): void {
    for (const wake of this.#freed.splice(0)) wake()
  }
}

/**
 * Opens a branch to `gateway` on the slot's trunk and exchanges the envelope handshake over it.
 * @throws NightjarError where the trunk is not up, or the gateway cannot be reached or does not reply
 */
export async function openBranch(
  options: BranchOptions,
  hello: Uint8Array,
): Promise<{ branch: Branch; reply: Uint8Array }> {
  const { clock, gateway, slot } = options
  if (slot.trunk === undefined) throw slot.lastError ?? new NightjarError('network-unreachable')
  let branch: Branch | undefined
  slot.busy += 1
  try {
    const hop = await slot.trunk.hop.extend(responderOf(gateway, 'onion', clock.now()))
    branch = new Branch(options, hop)
    return { branch, reply: await branch.greet(hello) }
  } catch (error) {
    branch?.close()
    throw asNightjarError(error)
  } finally {
    slot.busy -= 1
  }
}
