/**
 * The network document as the extension knows it: fetched through the daemon, verified here with the extension's own
 * pinned keys. The daemon can withhold it or hand out one that is current; it cannot name a gateway's key.
 */
import type { Crypto } from '@nightjar/shared/crypto'
import { type DocumentMark, type Network, type Trust, verifyDocument } from '@nightjar/shared/directory'
import { NightjarError } from '@nightjar/shared/errors'
import type { Clock } from '@nightjar/shared/runtime'

export interface NetworkOptions {
  readonly crypto: Crypto
  readonly clock: Clock
  /** @throws NightjarError `no-directory-keys` */
  trust(): Trust
  /** The newest document accepted so far, from any run. */
  seen(): DocumentMark | undefined
  accepted(mark: DocumentMark): void
  fetch(): Promise<string>
}

export class NetworkDocument {
  readonly #options: NetworkOptions
  #network: Network | undefined
  #work: Promise<unknown> = Promise.resolve()
  /** Rises when everything is forgotten. */
  #era = 0

  constructor(options: NetworkOptions) {
    this.#options = options
  }

  /** The document in use. @throws NightjarError `document-expired` */
  require(): Network {
    if (this.#network === undefined || this.#options.clock.now() >= this.#network.validUntil) {
      throw new NightjarError('document-expired')
    }
    return this.#network
  }

  /**
   * Fetches and verifies the daemon's document.
   * @throws NightjarError what is wrong with it, `cancelled` where other keys are trusted by now
   */
  async refresh(): Promise<Network> {
    const era = this.#era
    const text = await this.#options.fetch()
    // One after the other: of two that are verified at once, the older one must not be accepted last.
    const verified = this.#work.then(() => this.#accept(text, era))
    this.#work = verified.catch(() => undefined)
    return verified
  }

  /** Other keys are trusted from now on, or nothing is to be sent. */
  forget(): void {
    this.#network = undefined
    this.#era += 1
  }

  async #accept(text: string, era: number): Promise<Network> {
    const { crypto, clock, trust, seen, accepted } = this.#options
    const network = await verifyDocument(crypto, text, { trust: trust(), now: clock.now(), seen: seen() })
    if (era !== this.#era) throw new NightjarError('cancelled')
    this.#network = network
    accepted({ version: network.version, hash: network.hash })
    return network
  }
}
