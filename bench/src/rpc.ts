/**
 * `rpc`: eth_getBalance through the endpoint beside the same request to the node directly, one at a time and 64 at once.
 * Both are asked in alternating blocks within one run, so that a slow moment of the machine meets both.
 */
import { startLocalNetwork } from '@nightjar/e2e/network'
import { Pool } from 'undici'
import { median, quantile } from './statistics.ts'

const account = '0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266'
const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'eth_getBalance', params: [account, 'latest'] })
const blocks = 6
const singleRequests = 150
const manyRequests = 4000
const concurrency = 64

export async function benchRpc(report: (step: string) => void): Promise<Record<string, number>> {
  const network = await startLocalNetwork({ chains: [1], recorded: false, logLevel: 'warn', onStep: report })
  const direct = new Target(network.nodes[1] as string)
  const overNetwork = new Target(network.daemon.url(1))
  try {
    const single = { direct: [] as number[], overNetwork: [] as number[] }
    const rate = { direct: [] as number[], overNetwork: [] as number[] }
    for (let block = 0; block < blocks; block++) {
      report(`block ${block + 1} of ${blocks}`)
      const [a, b] = [await oneAtATime(direct), await oneAtATime(overNetwork)]
      const [c, d] = [await manyAtOnce(direct), await manyAtOnce(overNetwork)]
      // The first block warms up code, connections and branches.
      if (block === 0) continue
      single.direct.push(...a)
      single.overNetwork.push(...b)
      rate.direct.push(c)
      rate.overNetwork.push(d)
    }
    const directP50Ms = quantile(single.direct, 0.5)
    const privateP50Ms = quantile(single.overNetwork, 0.5)
    return {
      directP50Ms,
      privateP50Ms,
      privateP99Ms: quantile(single.overNetwork, 0.99),
      addedP50Ms: privateP50Ms - directP50Ms,
      directRps64: median(rate.direct),
      privateRps64: median(rate.overNetwork),
    }
  } finally {
    await direct.close()
    await overNetwork.close()
    await network.stop()
  }
}

class Target {
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

  close(): Promise<void> {
    return this.#pool.close()
  }
}

async function oneAtATime(target: Target): Promise<number[]> {
  const durations: number[] = []
  for (let i = 0; i < singleRequests; i++) {
    const begun = performance.now()
    await target.ask()
    durations.push(performance.now() - begun)
  }
  return durations
}

/** Requests per second. */
async function manyAtOnce(target: Target): Promise<number> {
  let left = manyRequests
  const begun = performance.now()
  const worker = async () => {
    while (left-- > 0) await target.ask()
  }
  await Promise.all(Array.from({ length: concurrency }, worker))
  return (manyRequests * 1000) / (performance.now() - begun)
}
