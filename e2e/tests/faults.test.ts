/** Relays that die, hang and come back while requests run: every request is answered, every transaction accepted once. */
import type { Hex } from 'viem'
import { beforeAll, describe, expect, test } from 'vitest'
import { type LocalRelay, until } from '../src/network/index.ts'
import { deploy, echoContract } from './support/chain.ts'
import { startLoad } from './support/load.ts'
import { useNetwork } from './support/network.ts'
import { isGuard, type Path, pathOf, type Role, roles } from './support/paths.ts'
import { ask } from './support/rpc.ts'

const chain = 31337
const shared = useNetwork({ tapped: true })
const url = () => shared.network.daemon.url(chain)
let echo: Hex

beforeAll(async () => {
  echo = await deploy(shared.network.nodes[chain] as string, echoContract)
})

function currentPath(): Promise<Path> {
  return pathOf(shared.network, () => ask(url(), 'eth_chainId'))
}

/** Kills `victims` while 200 requests run; all is well if every one of them is answered all the same. */
async function killUnderLoad(victims: readonly LocalRelay[], options: { gatewayDies: boolean }): Promise<void> {
  const load = await startLoad({ network: shared.network, chain, echo })
  for (const { process } of victims) process.signal('SIGKILL')
  await Promise.all(victims.map(({ process }) => process.ended))
  expect(load.running).toBeGreaterThan(0)
  await load.expectAnswered()
  if (!options.gatewayDies) expect(load.submissions()).toEqual(Array.from({ length: 10 }, () => 1))
}

/**
 * Those that could stand in for `relay` in its role, and stand in no other one now. One is left that transactions can come
 * from: the gateway of an account is not to see a trunk's middle.
 */
async function substitutesOf(relay: LocalRelay, role: Role): Promise<LocalRelay[]> {
  const { trunks } = await shared.network.daemon.status()
  const middles = trunks.map(({ middle }) => middle.name)
  const isUsed = (each: LocalRelay) => (role === 'entry' ? middles.includes(each.name) : isGuard(each))
  return shared.network.relays.all.filter(
    (each) => each !== relay && each.roles.includes('gateway') === (role === 'gateway') && !isUsed(each),
  )
}

describe.each(roles)('the %s', (role) => {
  const options = { gatewayDies: role === 'gateway' }

  test('killed under 200 running requests: all are answered, transactions once; restarted it serves again', async () => {
    const { [role]: victim } = await currentPath()
    await killUnderLoad([victim], options)
    expect((await currentPath())[role].name).not.toBe(victim.name)

    await victim.restart()
    const substitutes = await substitutesOf(victim, role)
    await killUnderLoad(substitutes, options)
    expect((await currentPath())[role].name).toBe(victim.name)
    await Promise.all(substitutes.map((each) => each.restart()))
  })

  test('stopped without a word: requests are answered all the same', async () => {
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
