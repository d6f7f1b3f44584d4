/** Whether a gateway can serve: its providers, its envelopes, and how many questions failed of late. */
import type { Crypto } from '@nightjar/shared/crypto'
import { asNightjarError } from '@nightjar/shared/errors'
import type { ResponderSecrets } from '@nightjar/shared/handshake'
import { nightjarCodeOf, type Outcome } from '@nightjar/shared/rpc'
import { type Clock, minute, type Timer } from '@nightjar/shared/runtime'
import type { Check } from '../admin/status.ts'
import { ErrorRate } from './errorRate.ts'
import type { Gateway } from './gateway.ts'
import { isCrowded } from './provider.ts'
import { testEnvelope } from './selfTest.ts'
import type { Upstreams } from './upstream.ts'

export interface HealthOptions {
  readonly crypto: Crypto
  readonly clock: Clock
  secrets(): ResponderSecrets
  /** The envelope key that clients are told of now. */
  envelopeKeyId(): Uint8Array | undefined
  /** Who is asked, by chain. */
  readonly upstreams: ReadonlyMap<number, Pick<Upstreams, 'areWell'>>
}

const testEvery = 1 * minute
/** Below so many questions a share of them says nothing of the gateway, and something of each. */
const leastQuestions = 20
const mostFailures = 0.5

export class GatewayHealth {
  readonly #options: HealthOptions
  readonly #rate: ErrorRate
  #envelopes: Check = { name: 'envelopes', ok: true, sentence: 'Not tested yet.' }
  #next: Timer | undefined
  #isClosed = false

  constructor(options: HealthOptions) {
    this.#options = options
    this.#rate = new ErrorRate(options.clock)
  }

  /** Tests the envelopes now, and every minute. */
  start(): void {
    void this.#test()
  }

  close(): void {
    this.#isClosed = true
    this.#next?.cancel()
  }

  /** `gateway`, with its answers counted. */
  counted(gateway: Gateway): Gateway {
    return {
      ...gateway,
      answer: async (question, signal) => {
        const outcome = await gateway.answer(question, signal)
        if (!signal.aborted) this.#rate.note(isFailure(outcome))
        return outcome
      },
    }
  }

  checks(): readonly Check[] {
    return [...this.#providers(), this.#envelopes, this.#errors()]
  }

  #providers(): Check[] {
    return [...this.#options.upstreams].map(([chain, { areWell }]) => {
      const well = areWell.filter(Boolean).length
      const sentence = `${well} of ${areWell.length} answer, for the right chain and up to date.`
      return { name: `providers of chain ${chain}`, ok: well > 0, sentence }
    })
  }

  #errors(): Check {
    const { asked, failed } = this.#rate.recent
    if (asked < leastQuestions) {
      return { name: 'answers', ok: true, sentence: 'Too few questions in the last minutes to tell.' }
    }
    const share = failed / asked
    // In tenths: to the question, it would tell how many there were, and of each whether it was answered.
    const tenths = `About ${Math.round(share * 10) * 10} %`
    const sentence = `${tenths} of the questions of the last minutes could not be answered.`
    return { name: 'answers', ok: share <= mostFailures, sentence }
  }

  async #test(): Promise<void> {
    const { crypto, clock, secrets, envelopeKeyId } = this.#options
    try {
      const keyId = envelopeKeyId()
      if (keyId === undefined) this.#tell(false, 'No envelope key is valid now. Renew the keys.')
      else {
        await testEnvelope(crypto, secrets(), keyId)
        this.#tell(true, 'A question sealed to this gateway was opened and answered.')
      }
    } catch (error) {
      this.#tell(false, `A question sealed to this gateway could not be answered (${asNightjarError(error).code}).`)
    }
    if (!this.#isClosed) this.#next = clock.after(testEvery, () => void this.#test())
  }

  #tell(ok: boolean, sentence: string): void {
    this.#envelopes = { name: 'envelopes', ok, sentence }
  }
}

/** Where the gateway or its providers were at fault, and not the one who asked, or all who ask at once. */
function isFailure(outcome: Outcome): boolean {
  if (!('error' in outcome)) return false
  const code = nightjarCodeOf(outcome.error)
  return code === 'internal' || (code === 'upstream-failed' && !isCrowded(outcome.error))
}
