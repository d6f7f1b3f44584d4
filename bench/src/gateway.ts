/**
 * `gateway`: eth_getBalance through one gateway, end to end from the daemon's endpoint, 64 at once, beside the same from
 * this process to the node with undici. Daemon, relays, gateway, node and driver share the cores of the machine, so what
 * is compared is what one core does: requests per second of the gateway's processor time, beside requests per second of
 * this process's. The duration is what the one who asks sees.
 */
import { readFileSync } from 'node:fs'
import { type RelayPlan, standardPlan, startLocalNetwork } from '@nightjar/e2e/network'
import { median, quantile } from './statistics.ts'
import { Target } from './target.ts'

const [firstGateway] = standardPlan.filter(({ roles }) => roles.includes('gateway'))
/** All branches lead to one gateway. */
const plan: readonly RelayPlan[] = [
  ...standardPlan.filter(({ roles }) => !roles.includes('gateway')),
  firstGateway as RelayPlan,
]
const blocks = 6
const requests = 8000

export async function benchGateway(report: (step: string) => void): Promise<Record<string, number>> {
  const network = await startLocalNetwork({ plan, chains: [1], recorded: false, logLevel: 'warn', onStep: report })
  const direct = new Target(network.nodes[1] as string)
  const overNetwork = new Target(network.daemon.url(1))
  const gateway = network.relays.all.find(({ roles }) => roles.includes('gateway'))
  const pid = gateway?.process.pid as number
  const rates = { gateway: [] as number[], direct: [] as number[] }
  const durations: number[] = []
  try {
    for (let block = 0; block < blocks; block++) {
      report(`block ${block + 1} of ${blocks}`)
      const own = process.cpuUsage()
      await direct.askMany(requests)
      const { user, system } = process.cpuUsage(own)
      const before = processorSeconds(pid)
      const through = await overNetwork.askMany(requests)
      const used = processorSeconds(pid) - before
      // The first block warms up code, connections and branches.
      if (block === 0) continue
      rates.direct.push(requests / ((user + system) / 1e6))
      rates.gateway.push(requests / used)
      durations.push(...through.durations)
    }
    return { rps: median(rates.gateway), directRps: median(rates.direct), p99Ms: quantile(durations, 0.99) }
  } finally {
    await direct.close()
    await overNetwork.close()
    await network.stop()
  }
}

/** What the process and those that it started have had of the processors: proc(5), `stat`, in hundredths of a second. */
function processorSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // After the name in brackets, which may hold anything: fields 3 and on; user and system time are 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const own = (Number(fields[11]) + Number(fields[12])) / 100
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean)
  return children.reduce((sum, child) => sum + processorSeconds(Number(child)), own)
}
