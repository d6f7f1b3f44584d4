/** A network whose middle relay keeps branches to two gateways, and what it has of them. */
import { second } from '@nightjar/shared/runtime'
import { expect } from 'vitest'
import { limits } from '../../limits/limits.ts'
import { MemoryNetwork } from './memoryNetwork.ts'

/** Seconds for which a branch can be kept. */
export const longest = limits.keepLongest / second

export const makeNetwork = () => MemoryNetwork.create('entry', 'middle', 'gateway-1', 'gateway-2')

export const countsOf = (network: MemoryNetwork, name: string) => network.relay(name).core.counts

/** What the middle has: circuits, branches, and those of them without a circuit. */
export function held(network: MemoryNetwork) {
  const { circuits, branches, keptBranches } = countsOf(network, 'middle')
  return { circuits, branches, keptBranches }
}

/** How many of the middle's branches ended with which code. */
export const closes = (network: MemoryNetwork) => Object.fromEntries(countsOf(network, 'middle').branchesClosed)

export async function pass(network: MemoryNetwork, duration: number): Promise<void> {
  network.clock.advance(duration)
  await network.settle()
}

/** Nothing of anybody is left. */
export async function expectNothing(network: MemoryNetwork): Promise<void> {
  const { circuits, entries, places } = network
  expect({ circuits, entries, places }).toEqual({ circuits: 0, entries: 0, places: 0 })
  expect(held(network)).toEqual({ circuits: 0, branches: 0, keptBranches: 0 })
  expect(countsOf(network, 'middle').queued).toEqual({ forward: 0, backward: 0 })
  // Unused links close by themselves; then there is no timer either.
  await pass(network, 2 * limits.linkIdle)
  expect(network.clock.pending).toBe(0)
  expect(network.misuses).toEqual([])
}
