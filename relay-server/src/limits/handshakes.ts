/**
 * When a handshake is answered, and when a puzzle is set instead (docs/protocol.md, Puzzles). The price of a handshake
 * rises with the load of the whole process, and each link has an allowance to pay it from: a link that asked for little
 * goes on being served while another floods, though it may be a relay's, through which no puzzle can be solved. Whoever
 * cannot pay works: the harder, the higher the load.
 *
 * Nothing is kept of a challenge: its seed is an HMAC of the link, the window of time and the difficulty, and made again
 * when the solution comes. Kept are only the proofs that were accepted on a link, until their windows are over.
 */
import { concat, readU32, u32 } from '@nightjar/shared/bytes'
import type { Crypto } from '@nightjar/shared/crypto'
import { type Challenge, decodeCreate, leadingZeroBits, puzzleProof, type Solution } from '@nightjar/shared/handshake'
import { type Clock, second } from '@nightjar/shared/runtime'
import { TokenBucket } from '@nightjar/shared-node/link'
import { limits } from './limits.ts'
import type { OnRefused } from './refusal.ts'

export interface HandshakeGateOptions {
  readonly crypto: Pick<Crypto, 'hash' | 'randomBytes'>
  readonly clock: Clock
  /** What the process answers per second before it asks for work. */
  readonly perSecond: number
  readonly onRefused: OnRefused
}

/** What becomes of a CREATE: its hello is answered, or a puzzle is. */
export type Verdict = { readonly hello: Uint8Array } | { readonly challenge: Challenge }

/** Over how long the load is measured. */
const loadTime = 1 * second

export class HandshakeGate {
  readonly options: HandshakeGateOptions
  readonly #secret: Uint8Array
  #links = 0
  /** Handshakes answered lately, each weighing less the longer ago it was. */
  #answered = 0
  #answeredAt: number

  constructor(options: HandshakeGateOptions) {
    this.options = options
    this.#secret = options.crypto.randomBytes(32)
    this.#answeredAt = options.clock.elapsed()
  }

  /** For a new link that came in. */
  link(): LinkHandshakes {
    this.#links += 1
    return new LinkHandshakes(this, this.#links)
  }

  /** Handshakes answered per second, as a multiple of what the process is meant to answer. */
  get load(): number {
    this.#decay()
    return this.#answered / (loadTime / second) / this.options.perSecond
  }

  /**
   * In handshakes of an idle relay. The fourth power: at twice the load a link is served a sixteenth as often. Never more
   * than an allowance holds, or a relay's link, through which no puzzle can be solved, would not be served at all.
   */
  get price(): number {
    return Math.min(Math.max(1, this.load ** 4), limits.handshakesPerLinkAtOnce)
  }

  /** Two bits more, which is four times the work, each time the load doubles. */
  get difficulty(): number {
    const more = Math.ceil(2 * Math.log2(Math.max(1, this.load)))
    return Math.min(limits.leastPuzzleBits + more, limits.puzzleBits)
  }

  countAnswered(): void {
    this.#decay()
    this.#answered += 1
  }

  seed(link: number, window: number, difficulty: number): Uint8Array {
    return this.options.crypto.hash.hmac(this.#secret, concat(u32(link), u32(window), Uint8Array.of(difficulty)))
  }

  #decay(): void {
    const now = this.options.clock.elapsed()
    this.#answered *= Math.exp(-(now - this.#answeredAt) / loadTime)
    this.#answeredAt = now
  }
}

export class LinkHandshakes {
  readonly #gate: HandshakeGate
  readonly #link: number
  readonly #allowance: TokenBucket
  #window = 0
  /** Proofs accepted in this window, and in the one before. */
  #accepted = new Set<number>()
  #acceptedBefore = new Set<number>()

  constructor(gate: HandshakeGate, link: number) {
    this.#gate = gate
    this.#link = link
    this.#allowance = new TokenBucket(gate.options.clock, {
      perSecond: limits.handshakesPerLink,
      atOnce: limits.handshakesPerLinkAtOnce,
    })
  }

  /** @throws NightjarError `protocol-violation` where `message` is no CREATE */
  admit(message: Uint8Array): Verdict {
    const { hello, solution } = decodeCreate(message)
    this.#turnWindow()
    const isSolved = solution !== undefined && this.#accept(hello, solution)
    if (isSolved || this.#allowance.take(this.#gate.price)) {
      this.#gate.countAnswered()
      return { hello }
    }
    if (solution === undefined) this.#gate.options.onRefused('puzzle-set')
    const { difficulty } = this.#gate
    return { challenge: { difficulty, seed: this.#gate.seed(this.#link, this.#window, difficulty) } }
  }

  #accept(hello: Uint8Array, { difficulty, nonce }: Solution): boolean {
    const { crypto, onRefused } = this.#gate.options
    // One of few bits can be had by chance, without knowing the seed; one that was got in quiet times was cheap.
    const least = Math.max(limits.leastPuzzleBits, this.#gate.difficulty - limits.puzzleLag)
    const windows = difficulty < least ? [] : [this.#window, this.#window - 1]
    for (const window of windows) {
      const proof = puzzleProof(crypto.hash, this.#gate.seed(this.#link, window, difficulty), hello, nonce)
      if (leadingZeroBits(proof) < difficulty) continue
      // The end of a proof is as good as random: two that differ will not meet in it.
      const key = readU32(proof, proof.length - 8) * 2 ** 20 + (readU32(proof, proof.length - 4) >>> 12)
      if (this.#accepted.has(key) || this.#acceptedBefore.has(key)) {
        onRefused('puzzle-replayed')
        return false
      }
      if (this.#accepted.size >= limits.solutionsPerLink) {
        onRefused('puzzle-solutions')
        return false
      }
      this.#accepted.add(key)
      return true
    }
    onRefused('puzzle-unsolved')
    return false
  }

  #turnWindow(): void {
    // From 1 on, so that there is one before the first.
    const window = 1 + Math.floor(this.#gate.options.clock.elapsed() / limits.puzzleWindow)
    if (window === this.#window) return
    this.#acceptedBefore = window === this.#window + 1 ? this.#accepted : new Set()
    this.#accepted = new Set()
    this.#window = window
  }
}
