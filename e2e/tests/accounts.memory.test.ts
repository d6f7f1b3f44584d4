/** A hundred accounts on five chains: the daemon's memory stays bounded, though it has places for some sixty groups. */
import { readFile } from 'node:fs/promises'
import type { Hex } from 'viem'
import { expect, test } from 'vitest'
import { until } from '../src/network/index.ts'
import { useNetwork } from './support/network.ts'
import { ask } from './support/rpc.ts'

const megabyte = 1024 * 1024
const chains = [1, 10, 137, 8453, 31337]
const accounts = Array.from({ length: 100 }, (_, index): Hex => `0x${(index + 1).toString(16).padStart(40, 'a')}`)
const shared = useNetwork({
  chains,
  blockTime: 1,
  accounts: { apart: true, freshness_seconds: 1, cold_spread_seconds: 5 },
})

test('a hundred accounts on five chains', async () => {
  const { daemon } = shared.network
  const before = await residentBytes()
  const poll = () =>
    Promise.all(
      chains.flatMap((chain) =>
        accounts.map((account) => ask(daemon.url(chain), 'eth_getBalance', [account, 'latest'])),
      ),
    )
  await poll()
  await until('most accounts are read', async () => {
    const { watched, cold } = (await daemon.status()).accounts
    expect(watched).toBeLessThanOrEqual(500)
    return watched === 500 && cold < 250
  })
  const after: number[] = []
  for (let round = 0; round < 3; round++) {
    await poll()
    after.push(await residentBytes())
  }
  expect(Math.max(...after) - before).toBeLessThan(400 * megabyte)
  console.info(`resident: ${[before, ...after].map((bytes) => Math.round(bytes / megabyte)).join(', ')} MiB`)
})

async function residentBytes(): Promise<number> {
  const text = await readFile(`/proc/${shared.network.daemon.process.pid}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+) kB/.exec(text)?.[1]) * 1024
}
