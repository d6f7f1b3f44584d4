/** The keys that a running relay answers with: read anew when their files have changed, old ones honoured as keys.ts says. */
import { type Crypto, size } from '@nightjar/shared/crypto'
import type { Clock } from '@nightjar/shared/runtime'
import type { NetworkKeeper } from '@nightjar/shared-node/network'
import { type KeyFiles, loadKeys, type RelayKey, type RelayKeys } from '../keys.ts'
import type { ServiceSecrets } from '../services.ts'

export class Keyring {
  readonly #crypto: Crypto
  readonly #files: KeyFiles
  #keys: RelayKeys

  private constructor(crypto: Crypto, files: KeyFiles, keys: RelayKeys) {
    this.#crypto = crypto
    this.#files = files
    this.#keys = keys
  }

  /** @throws NightjarError `file-unusable` */
  static async open(crypto: Crypto, files: KeyFiles): Promise<Keyring> {
    return new Keyring(crypto, files, await loadKeys(crypto, files))
  }

  get keys(): RelayKeys {
    return this.#keys
  }

  /** Reads the files again; where they cannot be used the keys stay. @throws NightjarError `file-unusable` */
  async reload(): Promise<void> {
    this.#keys = await loadKeys(this.#crypto, this.#files)
  }

  /** What handshakes are answered with now. */
  secrets(clock: Clock, { network }: Pick<NetworkKeeper, 'network'>): ServiceSecrets {
    const isValid = ({ validAfter, validUntil }: RelayKey) => validAfter <= clock.now() && clock.now() < validUntil
    return {
      envelopeKeyId: this.#keys.envelope.findLast(isValid)?.id,
      identity: this.#keys.identity.publicKey,
      findKey: (keyId, purpose) => this.#keys.findKey(keyId, purpose, clock.now()),
      document: { version: network?.version ?? 0, hash: network?.hash ?? new Uint8Array(size.hash) },
    }
  }
}
