/**
 * The branches of a relay's circuit: EXTEND opens one on a link to the next relay, and each ends by itself, is ended, or
 * outlives the circuit (kept.ts).
 */
import { equalBytes } from '@nightjar/shared/bytes'
import { HandshakeAssembler, splitHandshake } from '@nightjar/shared/cell'
import {
  decodeExtend,
  type Extend,
  encodeBranchClosed,
  encodeBranchGoaway,
  encodeExtended,
  type Keep,
  layerCapacity,
  messageHeaderSize,
  messageType,
} from '@nightjar/shared/circuit'
import { asNightjarError, type ErrorCode, NightjarError, toWire, violation } from '@nightjar/shared/errors'
import { helloSize, maxDepth } from '@nightjar/shared/handshake'
import { second } from '@nightjar/shared/runtime'
import { limits } from '../limits/limits.ts'
import { type Origin, sourceAt } from '../limits/sources.ts'
import type { CircuitBounds, CircuitHost } from './host.ts'
import { countCode, type RelayMeter } from './meter.ts'
import { Onward } from './onward.ts'
import { queueLimit } from './queueLimit.ts'

/** Of the hop below the entry. */
const middleDepth = 2

export interface BranchesOptions {
  /** Of the hop whose branches they are, 1 = entry. */
  readonly depth: number
  /** Sends a message to the client. */
  tell(type: number, data: Uint8Array): void
  /** A RELAY cell that came from `branch`, to be overwritten. */
  onBackward(branch: number, cell: Uint8Array): void
  /** `branch` is over: what waits of it is to be forgotten. */
  onEnded(branch: number): void
}

export class Branches {
  readonly #host: CircuitHost
  readonly #meter: RelayMeter
  readonly #bounds: CircuitBounds
  readonly #options: BranchesOptions
  readonly #origin: Origin
  readonly #onwards = new Map<number, Onward>()
  /** The highest number that was used. */
  #last = 0
  #extend = new HandshakeAssembler()
  #extending: number | undefined
  #over = false

  constructor(host: CircuitHost, meter: RelayMeter, bounds: CircuitBounds, options: BranchesOptions) {
    this.#host = host
    this.#meter = meter
    this.#bounds = bounds
    this.#options = options
    const source = bounds.isRelay() ? sourceAt(bounds.source, options.depth) : bounds.source
    // What remembers it for a while does not hold the circuit.
    this.#origin = { source, circuit: {} }
  }

  /** Each branch with the cells that wait for its link. */
  *held(): Generator<readonly [branch: number, cells: number]> {
    for (const [branch, onward] of this.#onwards) yield [branch, onward.held]
  }

  /** Takes a part of EXTEND. @throws NightjarError `protocol-violation` */
  receiveExtend(part: Uint8Array): void {
    const whole = this.#extend.push(part)
    if (whole === undefined) return
    this.#extend = new HandshakeAssembler()
    const extend = decodeExtend(whole)
    if (extend.branch <= this.#last) throw violation('branch number used before')
    if (extend.hello.length !== helloSize) throw violation('EXTEND with a hello of another length')
    if (this.#extending !== undefined) throw violation('two EXTENDs at once')
    if (this.#options.depth === maxDepth) throw violation('EXTEND beyond the longest path')
    this.#last = extend.branch
    this.#extending = extend.branch
    this.#grow(extend).catch((error: unknown) => {
      const { code } = asNightjarError(error)
      countCode(this.#meter.branchesClosed, code)
      this.lose(extend.branch, code)
    })
  }

  /**
   * Sends an opened RELAY cell on along `branch`, `delay` units from now.
   * @throws NightjarError `protocol-violation` for a branch that never was
   */
  passOn(branch: number, cell: Uint8Array, delay: number, startedAt: number): void {
    const onward = this.#onwards.get(branch)
    if (onward === undefined) {
      // The client may not have heard yet that the branch is gone.
      if (branch <= this.#last) return
      throw violation('cell for a branch that never was')
    }
    if (!onward.passOn(cell, delay, startedAt)) this.lose(branch, 'overflow')
  }

  /**
   * Ends the branch when its time is over, and not with the circuit.
   * @throws NightjarError `protocol-violation` for a branch that never was or is not there yet, or twice
   */
  keep({ branch, seconds }: Keep): void {
    if (branch > this.#last || branch === this.#extending) throw violation('KEEP of a branch that never was')
    const onward = this.#onwards.get(branch)
    if (onward?.isKept === true) throw violation('KEEP twice')
    // Kept ones would outlive what bounds a client at its entry, and no honest one asks for them there.
    if (!this.#bounds.isRelay()) return
    // Where there is none, the client may not have heard yet that it is gone.
    onward?.endIn(seconds * second, 'branch-retired')
  }

  /** The client asked for it. @throws NightjarError `protocol-violation` for a branch that never was */
  close(branch: number, code: ErrorCode): void {
    if (branch === 0 || branch > this.#last) throw violation('TRUNCATE of a branch that never was')
    if (this.#extending === branch) this.#extending = undefined
    const onward = this.#onwards.get(branch)
    if (onward !== undefined) this.#end(onward, code)
    this.#onwards.delete(branch)
    this.#options.onEnded(branch)
  }

  /** It is gone by itself: tells the client. The rest of the circuit goes on. */
  lose(branch: number, code: ErrorCode): void {
    if (this.#over) return
    this.close(branch, code)
    this.#options.tell(messageType.branchClosed, encodeBranchClosed(branch, toWire(code)))
  }

  /** The circuit is over; the branches that are to be kept are another's from now on. */
  closeAll(code: ErrorCode): void {
    this.#over = true
    const { kept } = this.#bounds
    for (const onward of this.#onwards.values()) {
      if (!kept.take(onward, this.#origin)) this.#end(onward, code)
    }
    this.#onwards.clear()
  }

  /**
   * How many it may have at once: all of a client's are its middle's. What depth a circuit has its client says, but no smaller one
   * than its own: layers are shorter from hop to hop, so its cells would end in zeros before they are opened and in noise after,
   * where EXTEND has fill that is checked. A larger one it can say: what no relay brings is an entry's.
   */
  get #most(): number {
    const isMiddle = this.#options.depth === middleDepth && this.#bounds.isRelay()
    return isMiddle ? limits.branchesPerCircuit : limits.branchesBesideMiddle
  }

  async #grow(extend: Extend): Promise<void> {
    const { depth } = this.#options
    if (this.#onwards.size >= this.#most) throw new NightjarError('limit-reached')
    const relay = this.#host.findRelay(extend.identity)
    if (relay === undefined) throw new NightjarError('unknown-relay')
    // Two hops at one relay would be two that know the same, and circuits that go round in it.
    if (equalBytes(extend.identity, this.#host.secrets().identity)) throw new NightjarError('refused')
    if (!this.#bounds.extends.admit(relay.id, this.#origin)) {
      this.#bounds.onRefused('extend-rate')
      // Nobody's fault: neither of the relay at its end, nor of this one, which cannot tell its clients apart.
      throw new NightjarError('busy')
    }
    // `extend` is a view into the cell, which is gone after the first wait.
    const { branch } = extend
    const hello = Uint8Array.from(extend.hello)
    const place = await this.#host.placeTo(relay, this.#origin)
    if (this.#over || this.#extending !== branch) return place.leave()
    const onward = new Onward(place, this.#host.crypto, this.#host.clock, {
      meter: this.#meter,
      mostHeld: queueLimit(depth),
      events: {
        onReply: (reply) => this.#tellExtended(branch, reply),
        onBackward: (cell) => this.#options.onBackward(branch, cell),
        onLost: (code) => this.lose(branch, code),
        onGoaway: (seconds) => this.#options.tell(messageType.branchGoaway, encodeBranchGoaway(branch, seconds)),
      },
    })
    this.#onwards.set(branch, onward)
    this.#meter.branches += 1
    onward.create(hello)
  }

  #tellExtended(branch: number, reply: Uint8Array): void {
    const { depth, tell } = this.#options
    this.#extending = undefined
    const parts = splitHandshake(encodeExtended(branch, reply), layerCapacity(depth) - messageHeaderSize)
    for (const part of parts) tell(messageType.extended, part)
  }

  #end(onward: Onward, code: ErrorCode): void {
    onward.close()
    this.#meter.branches -= 1
    countCode(this.#meter.branchesClosed, code)
  }
}
