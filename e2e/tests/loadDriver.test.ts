/** `nightjar-load requests`: many clients in one process, as tests and benchmarks drive a network with. */
import { expect, test } from 'vitest'
import { programPath, runProgram } from '../src/network/index.ts'
import { stranger } from './support/chain.ts'
import { useNetwork } from './support/network.ts'
import { askedFor } from './support/provider.ts'

const shared = useNetwork()

test('twenty clients ask two hundred requests, and each is answered; the last line says so in JSON', async () => {
  const { relays, providers } = shared.network
  const { keys, threshold } = relays.trust
  providers[31337]?.forget()
  const { stdout } = await runProgram(programPath('nightjar-load'), [
    ...['requests', '--network', relays.documentFile, '--trust', ...keys, '--threshold', String(threshold)],
    ...['--clients', '20', '--requests', '200', '--chain', '31337'],
    ...['--method', 'eth_getBalance', '--params', JSON.stringify([stranger, 'latest'])],
  ])
  const result = JSON.parse(stdout.trim().split('\n').at(-1) as string)
  expect(result).toMatchObject({ clients: 20, requests: 200, ok: 200, rpcErrors: 0, failed: {} })
  expect(result.p50Ms).toBeGreaterThan(0)
  expect(result.p99Ms).toBeGreaterThanOrEqual(result.p50Ms)
  expect(result.perSecond).toBeGreaterThan(0)
  // None is answered with what another one was.
  expect(askedFor(providers[31337], stranger)).toHaveLength(200)
})
