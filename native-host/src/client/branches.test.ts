import type { NightjarError } from '@nightjar/shared/errors'
import type { Outcome, Question } from '@nightjar/shared/rpc'
import { minute, second } from '@nightjar/shared/runtime'
import { codeOfAsync } from '@nightjar/shared/testing'
import { nativeCrypto } from '@nightjar/shared-node/crypto'
import { describe, expect, test } from 'vitest'
import { type Branch, requestsPerBranch } from './branch.ts'
import { Branches } from './branches.ts'
import { TestNetwork } from './testing/network.ts'
import { makeSlot } from './testing/slot.ts'

const question: Question = { chain: 1, cells: 4, method: 'eth_blockNumber' }

async function start(gateways = 2) {
  const net = await TestNetwork.create({ relays: 3, gateways })
  const { slot, health, path } = makeSlot(net)
  slot.start()
  await net.settle()
  const branches = new Branches({
    crypto: nativeCrypto,
    clock: net.clock,
    health,
    slotFor: async () => slot,
    random: () => 0.5,
  })
  const gateway = net.named('g0')
  const get = (group = 'me', name = 'g0') => branches.get(group, net.named(name).relay)
  const failures = (name = 'g0') => health.failuresOf(net.named(name).relay)
  /** Holds the gateway's answers from now on; `release` gives all of them. */
  function hold(): { release(): void } {
    const held: ((outcome: Outcome) => void)[] = []
    gateway.answer = () => new Promise((resolve) => held.push(resolve))
    return {
      release() {
        gateway.answer = () => ({ result: 'later' })
        for (const resolve of held.splice(0)) resolve({ result: 'held' })
      },
    }
  }
  const ask = (branch: Branch) => net.run(branch.ask(question))
  return { net, slot, health, path, branches, gateway, get, failures, hold, ask }
}

/** What a promise that nobody waits for yet comes to. */
function watch<T>(promise: Promise<T>) {
  const seen: { value?: T; code?: string } = {}
  promise.then(
    (value) => {
      seen.value = value
    },
    (error: NightjarError) => {
      seen.code = error.code
    },
  )
  return seen
}

describe('branches', () => {
  test('a group has one for each gateway, opened once however many ask at the same time', async () => {
    const { net, branches, get, gateway, ask } = await start()
    const [one, two] = await net.run(Promise.all([get(), get()]))
    expect(two).toBe(one)
    expect(gateway.hops.size).toBe(1)
    expect(await net.run(get())).toBe(one)
    expect(await net.run(get('other'))).not.toBe(one)
    expect((await net.run(get('me', 'g1'))).gateway.name).toBe('g1')
    expect(branches.open).toHaveLength(3)
    expect(await ask(one)).toEqual({ result: 'g0' })
  })

  test('groups cannot be mixed up by how they are written', async () => {
    const { net, get, branches } = await start()
    for (const group of ['a', 'a ', 'a\0', '']) await net.run(get(group))
    expect(branches.open).toHaveLength(4)
  })

  test('answers come to those who asked, in whatever order', async () => {
    const { net, get, gateway } = await start()
    const branch = await net.run(get())
    gateway.answer = ({ chain }) => ({ result: chain })
    const asked = Array.from({ length: 300 }, (_, index) => branch.ask({ ...question, chain: index + 1 }))
    const outcomes = await net.run(Promise.all(asked))
    expect(outcomes).toEqual(asked.map((_, index) => ({ result: index + 1 })))
    expect(branch.running).toBe(0)
    expect(branch.slot.busy).toBe(0)
  })

  test('after 1000 requests a fresh one takes over, and what runs on the old one is answered there', async () => {
    const { net, get, gateway, hold, ask } = await start()
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
    const { net, get, failures } = await start()
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
    const { net, get, gateway, ask } = await start()
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
    const { net, branches, get, hold } = await start()
    const [idle, busy] = [await net.run(get('idle')), await net.run(get('busy'))]
    const { release } = hold()
    const asked = watch(busy.ask(question))
    await net.settle()
    // Fake time alone: no watcher or time-out comes to fire.
    Object.assign(idle, { lastUsed: net.clock.now() - 10 * minute - 1 })
    Object.assign(busy, { lastUsed: net.clock.now() - 10 * minute - 1 })
    branches.closeIdle()
    expect(idle.error?.code).toBe('branch-retired')
    expect(branches.open).toEqual([busy])
    release()
    await net.settle()
    expect(asked.value).toEqual({ result: 'held' })
  })
})

describe('a full trunk', () => {
  async function full() {
    const made = await start()
    for (let index = 0; index < 32; index++) {
      await made.net.run(made.get(`group ${index}`))
      made.net.clock.advance(1)
    }
    return made
  }

  test('gives the place of the branch that was idle for longest to the 33rd group', async () => {
    const { net, get, branches, gateway, ask } = await full()
    await ask(await net.run(get('group 0')))
    const first = await net.run(get('group 0'))
    const second = await net.run(get('group 1'))
    expect(gateway.hops.size).toBe(32)
    const added = await net.run(get('group 32'))
    expect(second.error?.code).toBe('branch-retired')
    expect(first.error).toBeUndefined()
    expect(branches.open).toHaveLength(32)
    expect(await ask(added)).toEqual({ result: 'g0' })
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
    const { net, get, failures, branches } = await start()
    const results = await net.run(Promise.allSettled(Array.from({ length: 40 }, (_, index) => get(`group ${index}`))))
    const refused = results.flatMap((result) => (result.status === 'rejected' ? [result.reason.code] : []))
    expect(refused).toEqual(Array.from({ length: 8 }, () => 'limit-reached'))
    expect(branches.open).toHaveLength(32)
    expect(failures()).toBe(0)
    // Next time there is room: the first ones are idle.
    expect((await net.run(get('group 39'))).error).toBeUndefined()
  })
})

describe('whose fault it is', () => {
  test('a gateway that cannot be reached: counted, and tried again at the next use', async () => {
    const { net, get, gateway, failures } = await start()
    gateway.up = false
    expect(await codeOfAsync(() => net.run(get()))).toBe('connect-failed')
    expect(failures()).toBe(1)
    gateway.up = true
    await net.run(get())
    expect(failures()).toBe(0)
  })

  test('a gateway that closes a branch: counted once, however many requests were lost', async () => {
    const { net, slot, get, hold, failures, branches } = await start()
    const branch = await net.run(get())
    hold()
    const asked = Array.from({ length: 5 }, () => watch(branch.ask(question)))
    await net.settle()
    for (const hop of net.named('r1').hops) hop.closeBranchTo('g0', 'overflow')
    await net.settle()
    expect(asked.map(({ code }) => code)).toEqual(Array.from({ length: 5 }, () => 'overflow'))
    expect(failures()).toBe(1)
    expect(slot.trunk).toBeDefined()
    expect(branches.open).toEqual([])
    expect(await net.run(get())).not.toBe(branch)
  })

  test('a silent gateway: its branch is given up, its trunk stays', async () => {
    const { net, slot, get, gateway, failures } = await start()
    const branch = await net.run(get())
    gateway.silent = true
    const asked = watch(branch.ask(question))
    await net.clock.elapse(7 * second)
    await net.settle()
    expect(asked.code).toBe('timed-out')
    expect(failures()).toBe(1)
    expect(slot.trunk?.hop.error).toBeUndefined()
  })

  test('a gateway that is there but never answers: the request ends after 25 seconds, the branch stays', async () => {
    const { net, get, hold, branches } = await start()
    const branch = await net.run(get())
    hold()
    const asked = watch(branch.ask(question))
    await net.clock.elapse(25 * second - 1)
    expect(asked).toEqual({})
    await net.clock.elapse(1)
    await net.settle()
    expect(asked.code).toBe('timed-out')
    expect(branch.running).toBe(0)
    expect(branches.open).toEqual([branch])
  })

  test('a trunk that is lost: no gateway is to blame', async () => {
    const { net, get, hold, failures, branches } = await start()
    const branch = await net.run(get())
    hold()
    const asked = watch(branch.ask(question))
    await net.settle()
    net.named('r1').kill()
    await net.settle()
    expect(asked.code).toBe('link-lost')
    expect(failures()).toBe(0)
    expect(branches.open).toEqual([])
  })

  test('a trunk that is lost while a branch is being opened: no gateway is to blame', async () => {
    const { net, get, gateway, failures } = await start()
    gateway.silent = true
    const opened = watch(get())
    await net.settle()
    net.named('r1').kill()
    await net.settle()
    expect(opened.code).toBe('link-lost')
    expect(failures()).toBe(0)
  })

  test('a trunk that is lost and stands again at once: still no gateway is to blame', async () => {
    const { net, slot, get, gateway, failures } = await start()
    gateway.silent = true
    const opened = watch(get())
    await net.settle()
    net.named('r1').kill()
    net.named('r1').up = true
    await net.settle()
    expect(slot.trunk).toBeDefined()
    expect(opened.code).toBe('link-lost')
    expect(failures()).toBe(0)
  })

  test('closeAll ends them, once what is under way has been answered', async () => {
    const { net, get, branches, hold, gateway, failures } = await start()
    const branch = await net.run(get())
    const { release } = hold()
    const asked = watch(branch.ask(question))
    await net.settle()
    branches.closeAll()
    expect(branches.open).toEqual([])
    release()
    await net.settle()
    expect(asked.value).toEqual({ result: 'held' })
    expect(gateway.hops.size).toBe(0)
    expect(failures()).toBe(0)
  })
})
