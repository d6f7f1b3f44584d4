/** Branches that are kept, where their relay drains, or the next one does. */
import type { Hop } from '@nightjar/shared/circuit'
import { second } from '@nightjar/shared/runtime'
import { beforeEach, describe, expect, test } from 'vitest'
import { closes, expectNothing, held, longest, makeNetwork, pass } from './testing/keptBranches.ts'
import type { MemoryNetwork } from './testing/memoryNetwork.ts'

let network: MemoryNetwork
beforeEach(async () => {
  network = await makeNetwork()
})

describe('where a relay drains', () => {
  /** The middle has sixteen branches of two clients; the first is away, the second goes when told. Each end's time. */
  async function crowd() {
    const clients = [await network.open('entry', 'middle'), await network.open('entry', 'middle')] as const
    for (const { hops } of clients) {
      for (let branch = 0; branch < 8; branch++) (await network.grow(hops[1] as Hop, 'gateway-1')).keep(longest)
    }
    await network.settle()
    clients[0].wire.cut()
    await network.settle()
    expect(held(network)).toEqual({ circuits: 1, branches: 16, keptBranches: 8 })
    /** The kept branches after each of so many seconds. */
    async function watch(seconds: number): Promise<number[]> {
      const left: number[] = []
      for (let passed = 0; passed < seconds; passed++) {
        await pass(network, second)
        left.push(held(network).keptBranches)
      }
      return left
    }
    return { second: clients[1], watch }
  }

  test('branches without their circuits end at random moments in the first half of its time', async () => {
    const { second: client, watch } = await crowd()
    network.relay('middle').core.drain(600)
    await network.settle()
    const left = await watch(300)
    expect(new Set(left).size).toBeGreaterThan(4)
    expect([left.at(-1), closes(network)]).toEqual([0, { draining: 8 }])
    // Those of a client that is there are its own concern.
    expect(held(network)).toEqual({ circuits: 1, branches: 8, keptBranches: 0 })
    expect((client.hops[1] as Hop).branchCount).toBe(8)
  })

  test('those whose circuit ends meanwhile do so too, and in the second half with it', async () => {
    const { second: client, watch } = await crowd()
    network.relay('middle').core.drain(600)
    await watch(100)
    client.wire.cut()
    await network.settle()
    expect(held(network).keptBranches).toBeGreaterThanOrEqual(8)
    // Else the process would end, and all of them in the same second.
    expect([held(network).circuits, network.relay('middle').core.isEmpty()]).toEqual([0, false])
    const left = await watch(200)
    expect([left.at(-1), new Set(left).size > 4]).toEqual([0, true])
    expect(held(network).branches).toBe(0)
  })

  test('in the second half of its time they end with their circuit', async () => {
    const { second: client, watch } = await crowd()
    network.relay('middle').core.drain(600)
    await watch(301)
    expect(network.relay('middle').core.isEmpty()).toBe(false)
    client.wire.cut()
    await network.settle()
    await pass(network, 0)
    expect(held(network)).toEqual({ circuits: 0, branches: 0, keptBranches: 0 })
    expect(network.relay('middle').core.isEmpty()).toBe(true)
    await expectNothing(network)
  })

  test('none stands longer for that', async () => {
    const { wire, hops } = await network.open('entry', 'middle')
    for (let branch = 0; branch < 8; branch++) (await network.grow(hops[1] as Hop, 'gateway-1')).keep(10)
    await network.settle()
    wire.cut()
    await network.settle()
    network.relay('middle').core.drain(600)
    await pass(network, 10 * second)
    expect(held(network).branches).toBe(0)
  })

  test.each([
    [30, 15],
    [900, 60],
  ])('in %i seconds, and is the next one, they leave it within %i', async (told, seconds) => {
    const { watch } = await crowd()
    network.relay('gateway-1').core.drain(told)
    await network.settle()
    const left = await watch(seconds)
    expect(left[0]).toBeGreaterThan(0)
    expect([left.at(-1), new Set(left).size > 2]).toEqual([0, true])
    expect(held(network).branches).toBe(8)
  })
})
