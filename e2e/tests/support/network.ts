/** One network per test file: up before its tests, down after them, with nothing left behind. */
import { existsSync } from 'node:fs'
import { afterAll, beforeAll, expect } from 'vitest'
import { type LocalNetwork, type LocalNetworkOptions, startLocalNetwork } from '../../src/network/index.ts'

/** What a test file is given; to be read inside its tests only. */
export interface Shared {
  readonly network: LocalNetwork
}

/** Starts a network for the tests of a file (or describe block) and proves afterwards that it is gone. */
export function useNetwork(options: LocalNetworkOptions = {}): Shared {
  let network: LocalNetwork | undefined
  beforeAll(async () => {
    network = await startLocalNetwork(options)
  })
  afterAll(async () => {
    if (network !== undefined) await stopWithoutTrace(network)
  })
  return {
    get network() {
      if (network === undefined) throw new Error('the network is up during tests only')
      return network
    },
  }
}

export async function stopWithoutTrace(network: LocalNetwork): Promise<void> {
  const pids = [
    network.daemon.process.pid,
    ...network.relays.all.map((relay) => relay.process.pid),
    ...network.chains.map((chain) => chain.pid),
  ]
  await network.stop()
  expect(pids.filter(isRunning)).toEqual([])
  expect(existsSync(network.folder)).toBe(false)
}

export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    // No such process.
    return false
  }
}
