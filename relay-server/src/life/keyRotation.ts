/**
 * Has the next period's onion and envelope keys made in time. When a key's validity ends, the one after it has been in the
 * network document for a whole period already; then the one after that is made, to be published for as long.
 */
import type { Crypto } from '@nightjar/shared/crypto'
import { asNightjarError, type NightjarError } from '@nightjar/shared/errors'
import { type Clock, hour, type Timer } from '@nightjar/shared/runtime'
import { type KeyFiles, keyValidity, loadKeys, type RelayKey, renewKeys } from '../keys.ts'

/** How soon to try again where the file could not be written: there is a whole period for it. */
const retryEvery = 1 * hour

export interface KeyRotationOptions {
  readonly crypto: Crypto
  readonly clock: Clock
  readonly files: KeyFiles
  /** The file has other keys now; called again in an hour where it fails. */
  onRotated(): Promise<void>
  /** It has not, and should have; tried again in an hour. */
  onProblem(error: NightjarError): void
}

export class KeyRotation {
  readonly #options: KeyRotationOptions
  #timer: Timer | undefined
  #stopped = false
  /** There are new keys that `onRotated` could not deal with yet. */
  #isPending = false

  constructor(options: KeyRotationOptions) {
    this.#options = options
  }

  /** Makes what is missing now, and from then on whatever falls due, until `stop`. Never rejects. */
  async start(): Promise<void> {
    const { clock } = this.#options
    let next = clock.now() + retryEvery
    try {
      next = await this.#renew()
    } catch (error) {
      this.#options.onProblem(asNightjarError(error))
    }
    if (!this.#stopped) this.#timer = clock.after(next - clock.now(), () => void this.start())
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
  }

  /** @returns when the next key falls due, in the clock's milliseconds */
  async #renew(): Promise<number> {
    const { crypto, clock, files, onRotated } = this.#options
    const now = clock.now()
    const before = await loadKeys(crypto, files)
    const made = await renewKeys(crypto, files, { now, validity: validityOf(before.onion) })
    this.#isPending ||= made > 0
    if (this.#isPending) await onRotated()
    this.#isPending = false
    const { onion, envelope } = await loadKeys(crypto, files)
    return Math.min(...[...onion, ...envelope].map(({ validUntil }) => validUntil).filter((until) => until > now))
  }
}

/** New keys last as long as the last ones: `keygen --valid-days` may have said how long. */
function validityOf(keys: readonly RelayKey[]): number {
  const last = keys.at(-1)
  return last === undefined ? keyValidity : last.validUntil - last.validAfter
}
