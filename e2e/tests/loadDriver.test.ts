/** `nightjar-load requests`: many clients in one process, as tests and benchmarks drive a network with. */
import { expect, test } from 'vitest'
import { programPath, runProgram } from '../src/network/index.ts'
import { useNetwork } from './support/network.ts'

const shared = useNetwork()

test('twenty clients ask two hundred requests, and each is answered; the last line says so in JSON', async () => {
  const { relays, providers } = shared.network
  const { keys, threshold } = relays.trust
  providers[31337]?.forget()
  const { stdout } = await runProgram(programPath('nightjar-load'), [
    ...['requests', '--network', relays.documentFile, '--trust', ...keys, '--threshold', String(threshold)],
    ...['--clients', '20', '--requests', '200', '--chain', '31337', '--method', 'eth_gasPrice'],
  ])
  const result = JSON.parse(stdout.trim().split('\n').at(-1) as string)
  expect(result).toMatchObject({ clients: 20, requests: 200, ok: 200, rpcErrors: 0, failed: {} })
  expect(result.p50Ms).toBeGreaterThan(0)
  expect(result.p99Ms).toBeGreaterThanOrEqual(result.p50Ms)
  expect(result.perSecond).toBeGreaterThan(0)
  // The gateways answer some of them from what they know.
  expect(providers[31337]?.seen.some(({ body }) => body.includes('eth_gasPrice'))).toBe(true)
})
