/** Holds the newest network document that passed every check, and looks for a newer one now and then. */
import type { Crypto } from '@nightjar/shared/crypto'
import { type DocumentMark, type Network, type Trust, verifyDocument } from '@nightjar/shared/directory'
import { asNightjarError, NightjarError } from '@nightjar/shared/errors'
import { type Clock, second, type Timer } from '@nightjar/shared/runtime'
import { readDocument } from './source.ts'

/** How soon to look again while there is no valid document. */
const retryEvery = 5 * second

export interface NetworkKeeperOptions {
  readonly crypto: Crypto
  readonly clock: Clock
  /** A path or URL. */
  readonly location: string
  readonly trust: Trust
  /** Milliseconds between two looks. */
  readonly refreshEvery: number
  /** The newest document seen in an earlier run. */
  readonly seen?: DocumentMark | undefined
  onAccepted?(network: Network, text: string): void
  /** A look that failed; the document held before stays in use until it expires. */
  onProblem?(error: NightjarError): void
}

export class NetworkKeeper {
  readonly #options: NetworkKeeperOptions
  #network: Network | undefined
  #text: string | undefined
  #seen: DocumentMark | undefined
  #problem: NightjarError | undefined
  #timer: Timer | undefined
  #stopped = false
  /** How often trust was renewed. */
  #changes = 0

  constructor(options: NetworkKeeperOptions) {
    this.#options = options
    this.#seen = options.seen
  }

  /** The document, if there is one and it has not expired. */
  get network(): Network | undefined {
    const valid = this.#network !== undefined && this.#options.clock.now() < this.#network.validUntil
    return valid ? this.#network : undefined
  }

  /** The document's text as it was read, to be served to others. */
  get text(): string | undefined {
    return this.network === undefined ? undefined : this.#text
  }

  /** @throws NightjarError `document-expired`, or why there never was one */
  require(): Network {
    const { network } = this
    if (network !== undefined) return network
    const neverHadOne = this.#network === undefined && this.#problem !== undefined
    throw neverHadOne ? this.#problem : new NightjarError('document-expired')
  }

  /** Reads and checks the document now. @throws NightjarError what is wrong with it, or that it cannot be had */
  async refresh(): Promise<Network> {
    try {
      return await this.accept(await readDocument(this.#options.location))
    } catch (error) {
      this.#problem = asNightjarError(error)
      throw error
    }
  }

  /** Checks `text` and holds it. @throws NightjarError what is wrong with it */
  async accept(text: string): Promise<Network> {
    const { crypto, clock, trust, onAccepted } = this.#options
    const changes = this.#changes
    const seen = this.#seen
    const network = await verifyDocument(crypto, text, { trust, now: clock.now(), seen })
    // Others may be trusted by now than when it was judged, or a newer one held.
    if (changes !== this.#changes || seen !== this.#seen) return this.accept(text)
    const isNew = this.#network?.version !== network.version
    this.#network = network
    this.#text = text
    this.#seen = { version: network.version, hash: network.hash }
    if (isNew) onAccepted?.(network, text)
    return network
  }

  /**
   * Others may be trusted from now on: what they have not signed is held no longer, and its version counts no more against that of
   * another document. Resolves with false where that is so.
   */
  async renewTrust(): Promise<boolean> {
    this.#changes += 1
    const text = this.#text
    if (text === undefined) return true
    try {
      await this.accept(text)
    } catch (error) {
      const problem = asNightjarError(error)
      if (problem.code !== 'document-under-signed' || this.#text !== text) return true
      this.#problem = problem
      this.#network = undefined
      this.#text = undefined
      this.#seen = undefined
      if (this.#timer !== undefined && !this.#stopped) this.start()
      return false
    }
    return true
  }

  /** Looks again every `refreshEvery`, and every few seconds while there is no valid document, until `stop`. */
  start(): void {
    this.#timer?.cancel()
    const delay = this.network === undefined ? retryEvery : this.#options.refreshEvery
    this.#timer = this.#options.clock.after(delay, () => {
      this.refresh()
        .catch((error: unknown) => this.#options.onProblem?.(asNightjarError(error)))
        .finally(() => {
          if (!this.#stopped) this.start()
        })
    })
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
  }
}
