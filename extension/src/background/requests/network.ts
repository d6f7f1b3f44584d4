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
  /** Waits for the one that is under way. */
  #next: Promise<Network> | undefined
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
   * Fetches and verifies the daemon's document. However often that is asked for, it is done once at a time: of two at
   * once the older document must not be accepted last, and a daemon that says without end that there is a newer one must
   * not keep us busy with nothing else.
   * @throws NightjarError what is wrong with it, `cancelled` where other keys are trusted by now
   */
  refresh(): Promise<Network> {
    if (this.#next !== undefined) return this.#next
    const era = this.#era
    const next = this.#work.then(() => {
      if (this.#next === next) this.#next = undefined
      return this.#refresh(era)
    })
    this.#next = next
    this.#work = next.catch(() => undefined)
    return next
  }

  /** Other keys are trusted from now on, or nothing is to be sent. */
  forget(): void {
    this.#network = undefined
    this.#next = undefined
    this.#era += 1
  }

  async #refresh(era: number): Promise<Network> {
    const { crypto, clock, trust, seen, accepted, fetch } = this.#options
    const text = await fetch()
    const network = await verifyDocument(crypto, text, { trust: trust(), now: clock.now(), seen: seen() })
    if (era !== this.#era) throw new NightjarError('cancelled')
    this.#network = network
    accepted({ version: network.version, hash: network.hash })
    return network
  }
}
