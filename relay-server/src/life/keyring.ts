/** The keys that a running relay answers with: read anew when their files have changed, old ones honoured as keys.ts says. */
import { type Crypto, size } from '@nightjar/shared/crypto'
import type { Clock } from '@nightjar/shared/runtime'
import type { NetworkKeeper } from '@nightjar/shared-node/network'
import type { Check } from '../admin/status.ts'
import { type KeyFiles, type KeyUse, loadKeys, type RelayKey, type RelayKeys } from '../keys.ts'
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

  /** Whether there is a key of each of `uses` that clients may use now: without one nobody gets a circuit, or an answer. */
  check(uses: readonly KeyUse[], now: number): Check {
    const failed = uses.find((use) => validFor(this.#keys[use], now) === 0)
    const sentence = failed === undefined ? 'The keys are valid.' : whyNone(failed, this.#keys[failed], now)
    return { name: 'keys', ok: failed === undefined, sentence }
  }

  /** For how long keys of each of `uses` are there from `now` on, in milliseconds; 0 where one is missing now. */
  validFor(uses: readonly KeyUse[], now: number): number {
    return Math.min(...uses.map((use) => validFor(this.#keys[use], now)))
  }

  /** What handshakes are answered with now. */
  secrets(clock: Clock, { network }: Pick<NetworkKeeper, 'network'>): ServiceSecrets {
    return {
      envelopeKeyId: this.#keys.envelope.findLast((key) => isValid(key, clock.now()))?.id,
      identity: this.#keys.identity.publicKey,
      findKey: (keyId, purpose) => this.#keys.findKey(keyId, purpose, clock.now()),
      document: { version: network?.version ?? 0, hash: network?.hash ?? new Uint8Array(size.hash) },
    }
  }
}

function isValid({ validAfter, validUntil }: RelayKey, now: number): boolean {
  return validAfter <= now && now < validUntil
}

/** `keys`, oldest first, follow each other without a gap: those after one that is missing do not count. */
function validFor(keys: readonly RelayKey[], now: number): number {
  let end = now
  for (const { validAfter, validUntil } of keys) if (validAfter <= end && end < validUntil) end = validUntil
  return end - now
}

function whyNone(use: KeyUse, keys: readonly RelayKey[], now: number): string {
  const renew = 'run `nightjar-relay keygen --renew`, then send SIGHUP'
  if (keys.some(({ validAfter }) => now < validAfter)) {
    return `No ${use} key is valid yet: set the clock right if it is behind; if not, ${renew}.`
  }
  const ended = keys.length === 0 ? `There is no ${use} key` : `No ${use} key is valid any more`
  return `${ended}: set the clock right if it is ahead; if not, see the log for why there is no new one, mend that, ${renew}.`
}
