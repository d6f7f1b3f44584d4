/** Asks for one balance over pooled HTTP, as often as a benchmark wants it: a node itself, or an endpoint in front of it. */
import { Pool } from 'undici'

const account = '0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266'
const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'eth_getBalance', params: [account, 'latest'] })
const concurrency = 64

export interface ManyAnswers {
  readonly perSecond: number
  /** Milliseconds of each. */
  readonly durations: readonly number[]
}

export class Target {
  readonly #pool: Pool
  readonly #path: string

  constructor(url: string) {
    const { origin, pathname } = new URL(url)
    this.#pool = new Pool(origin, { connections: concurrency })
    this.#path = pathname
  }

  /** @throws Error where the answer is no balance: a failing request must not count as a fast one */
  async ask(): Promise<void> {
    const headers = { 'content-type': 'application/json' }
    const answer = await this.#pool.request({ path: this.#path, method: 'POST', headers, body })
    const text = await answer.body.text()
    if (!text.includes('"result":"0x')) throw new Error(`no result: ${text}`)
  }

  /** `requests` in all, 64 at once. */
  async askMany(requests: number): Promise<ManyAnswers> {
    const durations: number[] = []
    let left = requests
    const begun = performance.now()
    const worker = async () => {
      while (left-- > 0) {
        const asked = performance.now()
        await this.ask()
        durations.push(performance.now() - asked)
      }
    }
    await Promise.all(Array.from({ length: concurrency }, worker))
    return { perSecond: (requests * 1000) / (performance.now() - begun), durations }
  }

  close(): Promise<void> {
    return this.#pool.close()
  }
}
