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

  constructor(options: NetworkOptions) {
    this.#options = options
  }

  get current(): Network | undefined {
    return this.#network
  }

  /** The document in use. @throws NightjarError `document-expired` */
  require(): Network {
    if (this.#network === undefined || this.#options.clock.now() >= this.#network.validUntil) {
      throw new NightjarError('document-expired')
    }
    return this.#network
  }

  /** Fetches and verifies the daemon's document. @throws NightjarError what is wrong with it */
  async refresh(): Promise<Network> {
    const { crypto, clock, trust, seen, accepted, fetch } = this.#options
    const text = await fetch()
    const network = await verifyDocument(crypto, text, { trust: trust(), now: clock.now(), seen: seen() })
    this.#network = network
    accepted({ version: network.version, hash: network.hash })
    return network
  }

  /** Other keys are trusted from now on. */
  forget(): void {
    this.#network = undefined
  }
}
