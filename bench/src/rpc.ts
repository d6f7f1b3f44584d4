/**
 * `rpc`: eth_getBalance through the endpoint beside the same request to the node directly, one at a time and 64 at once.
 * Both are asked in alternating blocks within one run, so that a slow moment of the machine meets both.
 */
import { startLocalNetwork } from '@nightjar/e2e/network'
import { median, quantile } from './statistics.ts'
import { Target } from './target.ts'

const blocks = 6
const singleRequests = 150
const manyRequests = 4000

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
      const [c, d] = [await direct.askMany(manyRequests), await overNetwork.askMany(manyRequests)]
      // The first block warms up code, connections and branches.
      if (block === 0) continue
      single.direct.push(...a)
      single.overNetwork.push(...b)
      rate.direct.push(c.perSecond)
      rate.overNetwork.push(d.perSecond)
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

async function oneAtATime(target: Target): Promise<number[]> {
  const durations: number[] = []
  for (let i = 0; i < singleRequests; i++) {
    const begun = performance.now()
    await target.ask()
    durations.push(performance.now() - begun)
  }
  return durations
}
