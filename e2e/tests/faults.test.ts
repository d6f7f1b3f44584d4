/** Relays that die, hang and come back while requests run: every request is answered, every transaction accepted once. */
import type { Hex } from 'viem'
import { beforeAll, describe, expect, test } from 'vitest'
import { type LocalRelay, until } from '../src/network/index.ts'
import { deploy, echoContract } from './support/chain.ts'
import { startLoad } from './support/load.ts'
import { useNetwork } from './support/network.ts'
import { type Path, pathOf } from './support/paths.ts'
import { ask } from './support/rpc.ts'

const chain = 31337
const shared = useNetwork({ tapped: true })
const url = () => shared.network.daemon.url(chain)
const roles = ['entry', 'middle', 'gateway'] as const
let echo: Hex

beforeAll(async () => {
  echo = await deploy(shared.network.nodes[chain] as string, echoContract)
})

function currentPath(): Promise<Path> {
  return pathOf(shared.network, () => ask(url(), 'eth_chainId'))
}

describe.each(roles)('the %s', (role) => {
  /** Kills the relay in that role under load; all is well if every request is answered all the same. */
  async function killUnderLoad(): Promise<LocalRelay> {
    const victim = (await currentPath())[role]
    const load = await startLoad({ network: shared.network, chain, echo })
    victim.process.signal('SIGKILL')
    await victim.process.ended
    expect(load.running).toBeGreaterThan(0)
    await load.expectAnswered()
    if (role !== 'gateway') expect(load.submissions()).toEqual(Array.from({ length: 10 }, () => 1))
    return victim
  }

  test('killed under 200 running requests: all are answered, transactions once; restarted it serves again', async () => {
    const first = await killUnderLoad()
    const { [role]: replacement } = await currentPath()
    expect(replacement.name).not.toBe(first.name)
    await first.restart()
    const second = await killUnderLoad()
    expect(second.name).toBe(replacement.name)
    await second.restart()
    await until(`${first.name} is used again`, async () => (await currentPath())[role] === first)
  })

  test('stopped without a word: requests are answered; when it goes on, it is of use again', async () => {
    const { [role]: victim } = await currentPath()
    victim.process.signal('SIGSTOP')
    try {
      const data = Array.from({ length: 20 }, (_, index) => `0x00${index.toString(16).padStart(64, '0')}`)
      const answers = await Promise.all(
        data.map((each) => ask(url(), 'eth_call', [{ to: echo, data: each }, 'latest'])),
      )
      expect(answers).toEqual(data.map((result) => ({ jsonrpc: '2.0', id: 1, result })))
      expect((await currentPath())[role].name).not.toBe(victim.name)
    } finally {
      victim.process.signal('SIGCONT')
    }
    await until('both paths stand', async () => (await shared.network.daemon.status()).state === 'private')
  })
})
