import { requestsPerBranch } from '@nightjar/shared/requests'
import { minute } from '@nightjar/shared/runtime'
import { codeOfAsync } from '@nightjar/shared/testing'
import { describe, expect, test } from 'vitest'
import { carrierOf, question, startBranches, watch } from './testing/branches.ts'
import { seeded } from './testing/seeded.ts'

describe('branches', () => {
  test('a group has one for each gateway, opened once however many ask at the same time', async () => {
    const { net, open, get, gateway, ask } = await startBranches()
    const [one, two] = await net.run(Promise.all([get(), get()]))
    expect(two).toBe(one)
    expect(gateway.hops.size).toBe(1)
    expect(await net.run(get())).toBe(one)
    expect(await net.run(get('other'))).not.toBe(one)
    expect((await net.run(get('me', 'g1'))).gateway.name).toBe('g1')
    expect(open.all).toHaveLength(3)
    expect(await ask(one)).toEqual({ result: 'g0' })
  })

  test('groups cannot be mixed up by how they are written', async () => {
    const { net, get, open } = await startBranches()
    for (const group of ['a', 'a ', 'a\0', '']) await net.run(get(group))
    expect(open.all).toHaveLength(4)
  })

  test('answers come to those who asked, in whatever order', async () => {
    const { net, get, gateway } = await startBranches()
    const branch = await net.run(get())
    gateway.answer = ({ chain }) => ({ result: chain })
    const asked = Array.from({ length: 300 }, (_, index) => branch.ask({ ...question, chain: index + 1 }))
    const outcomes = await net.run(Promise.all(asked))
    expect(outcomes).toEqual(asked.map((_, index) => ({ result: index + 1 })))
    expect(carrierOf(branch).running).toBe(0)
    expect(carrierOf(branch).slot.busy).toBe(0)
  })

  test('after 1000 requests a fresh one takes over, and what runs on the old one is answered there', async () => {
    const { net, get, gateway, hold, ask } = await startBranches()
    const old = await net.run(get())
    const { release } = hold()
    const slow = watch(old.ask(question))
    await net.settle()
    gateway.answer = () => ({ result: 'quick' })
    for (let request = 2; request < requestsPerBranch; request++) await ask(old)
    expect(old.isDue).toBe(false)
    await ask(old)
    expect(old.isDue).toBe(true)
    // The old one serves while its successor is being opened.
    expect(await net.run(get())).toBe(old)
    await net.settle()
    const fresh = await net.run(get())
    expect(fresh).not.toBe(old)
    expect(old.error).toBeUndefined()
    expect(gateway.hops.size).toBe(2)
    release()
    await net.settle()
    expect(slow.value).toEqual({ result: 'held' })
    expect(old.error?.code).toBe('branch-retired')
    expect(gateway.hops.size).toBe(1)
    expect(await net.run(get())).toBe(fresh)
  })

  test('after ten minutes too, and its end is nobody’s failure', async () => {
    const { net, get, failures } = await startBranches()
    const old = await net.run(get())
    await net.clock.elapse(10 * minute - 1)
    expect(old.isDue).toBe(false)
    await net.clock.elapse(1)
    expect(old.isDue).toBe(true)
    await net.run(get())
    await net.settle()
    expect(old.error?.code).toBe('branch-retired')
    expect(await net.run(get())).not.toBe(old)
    expect(failures()).toBe(0)
  })

  test('an old one goes on where no fresh one can be had, and the next use tries again', async () => {
    const { net, get, gateway, ask } = await startBranches()
    const old = await net.run(get())
    await net.clock.elapse(10 * minute)
    gateway.up = false
    await net.run(get())
    await net.settle()
    expect(await net.run(get())).toBe(old)
    expect(await ask(old)).toEqual({ result: 'g0' })
    gateway.up = true
    await net.run(get())
    await net.settle()
    expect(await net.run(get())).not.toBe(old)
  })

  test('idle ones are closed, those with something under way are not', async () => {
    const { net, open, get, hold, idleFor } = await startBranches()
    const [idle, busy] = [await net.run(get('idle')), await net.run(get('busy'))]
    await net.clock.elapse(idleFor - 1)
    const { release } = hold()
    const asked = watch(busy.ask(question))
    await net.settle()
    // Set back instead of waiting: in ten minutes the request would time out.
    Object.assign(carrierOf(busy), { lastUsed: net.clock.elapsed() - idleFor })
    await net.clock.elapse(1)
    expect(idle.error?.code).toBe('branch-retired')
    expect(open.all).toEqual([carrierOf(busy)])
    release()
    await net.settle()
    expect(asked.value).toEqual({ result: 'held' })
    expect(busy.error).toBeUndefined()
  })
})

test('what is pushed is use', async () => {
  const { net, get, gateway, idleFor } = await startBranches()
  const branch = await net.run(get())
  branch.follow(question, { onOutcome() {}, onEnd() {} })
  await net.settle()
  for (let push = 0; push < 3; push++) {
    await net.clock.elapse(idleFor - 1)
    gateway.followed[0]?.push({ result: push })
    await net.settle()
  }
  expect(branch.error).toBeUndefined()
  await net.clock.elapse(idleFor)
  expect(branch.error?.code).toBe('branch-retired')
})

test('each is idle for a time of its own', async () => {
  const { net, open, get } = await startBranches(2, seeded(1))
  for (let index = 0; index < 20; index++) await net.run(get(`group ${index}`))
  const left: number[] = []
  for (let second = 0; second < 14 * 60 && open.all.length > 0; second++) {
    await net.clock.elapse(1000)
    left.push(open.all.length)
  }
  // Twenty that were last used together: no second sees more than a few of them end.
  expect(left[6 * 60 - 2]).toBe(20)
  expect(left.at(-1)).toBe(0)
  expect(Math.max(...left.map((count, index) => (left[index - 1] ?? 20) - count))).toBeLessThan(4)
})

describe('a full trunk', () => {
  async function full() {
    const made = await startBranches()
    for (let index = 0; index < 32; index++) {
      await made.net.run(made.get(`group ${index}`))
      made.net.clock.advance(1)
    }
    return made
  }

  test('gives the place of the branch that was idle for longest to the 33rd group', async () => {
    const { net, get, open, gateway, ask } = await full()
    await ask(await net.run(get('group 0')))
    const first = await net.run(get('group 0'))
    const second = await net.run(get('group 1'))
    expect(gateway.hops.size).toBe(32)
    const added = await net.run(get('group 32'))
    expect(second.error?.code).toBe('branch-retired')
    expect(first.error).toBeUndefined()
    expect(open.all).toHaveLength(32)
    expect(await ask(added)).toEqual({ result: 'g0' })
  })

  test('keeps branches on which something is followed, as long as there is another one', async () => {
    const { net, get, open } = await full()
    const first = await net.run(get('group 0'))
    first.follow(question, { onOutcome() {}, onEnd() {} })
    const rest = await net.run(Promise.all(Array.from({ length: 31 }, (_, index) => get(`group ${index + 1}`))))
    Object.assign(carrierOf(first), { lastUsed: -1 })
    expect(await net.run(open.hasRoom('me'))).toBe(true)
    await net.run(get('group 32'))
    expect(first.error).toBeUndefined()
    for (const branch of rest.slice(1)) branch.follow(question, { onOutcome() {}, onEnd() {} })
    const last = await net.run(get('group 32'))
    last.follow(question, { onOutcome() {}, onEnd() {} })
    // None is left but those: who only follows has to wait, who asks takes the place of the longest idle one.
    expect(await net.run(open.hasRoom('me'))).toBe(false)
    await net.run(get('group 33'))
    expect(first.error?.code).toBe('branch-retired')
  })

  test('of busy branches refuses the 33rd group, and that is not the gateway’s fault', async () => {
    const { net, get, hold, failures } = await full()
    const { release } = hold()
    for (let index = 0; index < 32; index++) watch((await net.run(get(`group ${index}`))).ask(question))
    await net.settle()
    expect(await codeOfAsync(() => net.run(get('group 32')))).toBe('limit-reached')
    expect(failures()).toBe(0)
    release()
    await net.settle()
    expect((await net.run(get('group 32'))).error).toBeUndefined()
  })

  test('by forty groups at once blames no gateway for the limit of its own circuit', async () => {
    const { net, get, failures, open } = await startBranches()
    const results = await net.run(Promise.allSettled(Array.from({ length: 40 }, (_, index) => get(`group ${index}`))))
    const refused = results.flatMap((result) => (result.status === 'rejected' ? [result.reason.code] : []))
    expect(refused).toEqual(Array.from({ length: 8 }, () => 'limit-reached'))
    expect(open.all).toHaveLength(32)
    expect(failures()).toBe(0)
    // Next time there is room: the first ones are idle.
    expect((await net.run(get('group 39'))).error).toBeUndefined()
  })
})
