/** Relays that say that they will stop: what they carry moves first, and nothing that is under way is lost. */
import { minute, second } from '@nightjar/shared/runtime'
import { describe, expect, test } from 'vitest'
import { timeToLeave } from './branch.ts'
import { carrierOf, question, startBranches, watch } from './testing/branches.ts'

/** When a branch of `startBranches` leaves a relay that has 30 seconds left. */
const leavesAfter = 13.5 * second

test.each([
  [-1, 0],
  [0, 0],
  [1, 0.5],
  [30, 15],
  [60, 30],
  [300, 270],
  [3600, 720],
])('of %d seconds that a relay drains branches leave it in the first %d', (seconds, expected) => {
  expect(timeToLeave(seconds, 12 * minute)).toBe(expected * second)
})

describe.each(['entry', 'middle'] as const)('the %s drains', (role) => {
  const victim = { entry: 'r0', middle: 'r1' }[role]

  async function drain() {
    const stage = await startBranches()
    const { net, slot, path, get } = stage
    const branch = await net.run(get())
    const before = slot.trunk
    const { release } = stage.hold()
    const answer = watch(branch.ask(question))
    await net.settle()
    path[role] = 'r2'
    net.named(victim).drain(30)
    await net.settle()
    expect([branch.isDue, slot.trunk === before]).toEqual([false, false])
    await net.clock.elapse(leavesAfter)
    await net.settle()
    return { ...stage, branch, before, release, answer }
  }

  test('another trunk stands before the old one is let go, and what runs there is answered there', async () => {
    const { net, slot, branch, before, release, answer, get, failures, health } = await drain()
    expect(slot.trunk?.[role].name).toBe('r2')
    expect(before?.hop.error).toBeUndefined()
    expect(health.isAvoided(net.named(victim).relay)).toBe(true)
    expect(branch.isDue).toBe(true)

    // The next use opens the branch's successor on the new trunk.
    await net.run(get())
    await net.settle()
    const next = await net.run(get())
    expect(carrierOf(next).trunkHop).toBe(slot.trunk?.hop)
    release()
    await net.settle()
    expect(answer.value).toEqual({ result: 'held' })
    expect(branch.error?.code).toBe('branch-retired')
    await net.clock.elapse(1 * second)
    expect(before?.hop.error).toBeDefined()
    expect(net.named(victim).hops.size).toBe(0)
    expect([failures(), health.failuresOf(net.named(victim).relay)]).toEqual([0, 0])
  })

  test('what it still carries when it stops blames nobody', async () => {
    const { net, slot, answer, failures, health } = await drain()
    const { trunk } = slot
    net.named(victim).kill()
    await net.settle()
    expect(answer.code).toBeDefined()
    expect(slot.trunk).toBe(trunk)
    expect([failures(), health.failuresOf(net.named(victim).relay)]).toEqual([0, 0])
  })

  test('an idle branch closes at its moment, and the next request opens one on the new trunk', async () => {
    const { net, slot, path, get, ask } = await startBranches()
    const idle = await net.run(get())
    path[role] = 'r2'
    net.named(victim).drain(30)
    await net.clock.elapse(leavesAfter - 1)
    await net.settle()
    expect(await ask(idle)).toEqual({ result: 'g0' })
    await net.clock.elapse(1)
    await net.settle()
    expect(idle.error?.code).toBe('branch-retired')
    const next = await net.run(get())
    expect(carrierOf(next).trunkHop).toBe(slot.trunk?.hop)
    expect(await ask(next)).toEqual({ result: 'g0' })
  })

  test('a branch on which something is followed stays until its successor stands', async () => {
    const { net, path, get } = await startBranches()
    const branch = await net.run(get())
    const ends: string[] = []
    branch.follow(question, { onOutcome() {}, onEnd: (code) => ends.push(code) })
    path[role] = 'r2'
    net.named(victim).drain(30)
    await net.clock.elapse(leavesAfter)
    await net.settle()
    expect([branch.isDue, branch.error, ends]).toEqual([true, undefined, []])
    await net.run(get())
    await net.settle()
    expect([branch.error?.code, ends]).toEqual(['branch-retired', ['branch-retired']])
  })

  test('where no other can be had the trunk stays, and another is tried for until one stands', async () => {
    const { net, slot, path, get, ask } = await startBranches()
    const { trunk } = slot
    net.named('r2').up = false
    path[role] = 'r2'
    net.named(victim).drain(30)
    await net.settle()
    expect(slot.trunk).toBe(trunk)
    expect(await ask(await net.run(get()))).toEqual({ result: 'g0' })
    net.named('r2').up = true
    await net.clock.elapse(1 * second)
    await net.settle()
    expect(slot.trunk?.[role].name).toBe('r2')
  })
})

describe('the gateway drains', () => {
  test('it is passed over for as long as it said, whatever it still answers', async () => {
    const { net, slot, get, health, hold, branches } = await startBranches()
    const branch = await net.run(get())
    const { trunk } = slot
    const { release } = hold()
    const answer = watch(branch.ask(question))
    await net.settle()
    const gateway = net.named('g0').relay
    net.named('g0').drain(30)
    await net.settle()
    expect(health.sort([gateway, net.named('g1').relay])[0]?.name).toBe('g1')
    expect([branch.isDue, branch.error]).toEqual([false, undefined])
    await net.clock.elapse(leavesAfter)
    expect([branch.isDue, branch.error, slot.trunk]).toEqual([true, undefined, trunk])
    release()
    await net.settle()
    expect(answer.value).toEqual({ result: 'held' })
    expect(branch.error?.code).toBe('branch-retired')
    expect(branches.has('me', gateway)).toBe(false)
    health.worked(gateway)
    expect(health.isAvoided(gateway)).toBe(true)
    await net.clock.elapse(1 * minute)
    expect(health.isAvoided(gateway)).toBe(false)
    expect(health.failuresOf(gateway)).toBe(0)
  })

  test('started again, it is used as before', async () => {
    const { net, get, health } = await startBranches()
    await net.run(get())
    net.named('g0').drain(30)
    await net.settle()
    const gateway = net.named('g0').relay
    expect(health.isAvoided(gateway)).toBe(true)
    await net.clock.elapse(leavesAfter)
    await net.settle()
    expect(health.isAvoided(gateway)).toBe(true)
    // It takes a new branch, as the only one that there is, and so cannot be draining any more.
    await net.run(get())
    expect(health.isAvoided(gateway)).toBe(false)
  })
})
