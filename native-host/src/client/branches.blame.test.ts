import { second } from '@nightjar/shared/runtime'
import { codeOfAsync } from '@nightjar/shared/testing'
import { nativeCrypto } from '@nightjar/shared-node/crypto'
import { describe, expect, test } from 'vitest'
import { carrierOf, question, startBranches, watch } from './testing/branches.ts'

describe('whose fault it is', () => {
  test('a gateway that cannot be reached: counted, and tried again at the next use', async () => {
    const { net, get, gateway, failures, ask } = await startBranches()
    gateway.up = false
    expect(await codeOfAsync(() => net.run(get()))).toBe('connect-failed')
    expect(failures()).toBe(1)
    gateway.up = true
    const branch = await net.run(get())
    expect(failures()).toBe(1)
    await ask(branch)
    branch.retire()
    expect(failures()).toBe(0)
  })

  test.each(['onionKeys', 'envelopeKeys'] as const)(
    'a gateway that has not the key of its %s: counted once each time, until it has',
    async (use) => {
      const { net, branches, gateway, failures, open, ask } = await startBranches()
      const { publicKey } = await nativeCrypto.dh.generate()
      const pretended = { ...gateway.relay, [use]: gateway.relay[use].map((key) => ({ ...key, key: publicKey })) }
      for (const count of [1, 2, 3]) {
        expect(await codeOfAsync(() => net.run(branches.get('me', pretended)))).toBe('handshake-failed')
        expect(failures()).toBe(count)
      }
      expect([open.all, gateway.hops.size]).toEqual([[], 0])
      const branch = await net.run(branches.get('me', gateway.relay))
      await ask(branch)
      branch.retire()
      expect(failures()).toBe(0)
    },
  )

  test('a gateway without a valid key: counted, so that another one is asked', async () => {
    const { net, branches, gateway, failures } = await startBranches()
    const envelopeKeys = gateway.relay.envelopeKeys.map((key) => ({ ...key, validUntil: 0 }))
    const get = () => net.run(branches.get('me', { ...gateway.relay, envelopeKeys }))
    expect(await codeOfAsync(get)).toBe('unknown-key')
    expect(failures()).toBe(1)
  })

  test('a gateway that closes a branch: counted once, however many requests were lost', async () => {
    const { net, slot, get, hold, failures, open } = await startBranches()
    const branch = await net.run(get())
    hold()
    const asked = Array.from({ length: 5 }, () => watch(branch.ask(question)))
    await net.settle()
    for (const hop of net.named('r1').hops) hop.closeBranchTo('g0', 'overflow')
    await net.settle()
    expect(asked.map(({ code }) => code)).toEqual(Array.from({ length: 5 }, () => 'overflow'))
    expect(failures()).toBe(1)
    expect(slot.trunk).toBeDefined()
    expect(open.all).toEqual([])
    expect(await net.run(get())).not.toBe(branch)
  })

  test('a silent gateway: its branch is given up, its trunk stays', async () => {
    const { net, slot, get, gateway, failures } = await startBranches()
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
    const { net, get, hold, open } = await startBranches()
    const branch = await net.run(get())
    hold()
    const asked = watch(branch.ask(question))
    await net.clock.elapse(25 * second - 1)
    expect(asked).toEqual({})
    await net.clock.elapse(1)
    await net.settle()
    expect(asked.code).toBe('timed-out')
    expect(carrierOf(branch).running).toBe(0)
    expect(open.all).toEqual([carrierOf(branch)])
  })

  test('a trunk that is lost: no gateway is to blame', async () => {
    const { net, get, hold, failures, open } = await startBranches()
    const branch = await net.run(get())
    hold()
    const asked = watch(branch.ask(question))
    await net.settle()
    net.named('r1').kill()
    await net.settle()
    expect(asked.code).toBe('link-lost')
    expect(failures()).toBe(0)
    expect(open.all).toEqual([])
  })

  test('a trunk that is lost while a branch is being opened: no gateway is to blame', async () => {
    const { net, get, gateway, failures } = await startBranches()
    gateway.silent = true
    const opened = watch(get())
    await net.settle()
    net.named('r1').kill()
    await net.settle()
    expect(opened.code).toBe('link-lost')
    expect(failures()).toBe(0)
  })

  test('a trunk that is lost and stands again at once: still no gateway is to blame', async () => {
    const { net, slot, get, gateway, failures } = await startBranches()
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
    const { net, get, branches, hold, gateway, failures, open } = await startBranches()
    const branch = await net.run(get())
    const { release } = hold()
    const asked = watch(branch.ask(question))
    await net.settle()
    branches.closeAll()
    expect(open.all).toHaveLength(1)
    release()
    await net.settle()
    expect(asked.value).toEqual({ result: 'held' })
    expect(open.all).toEqual([])
    expect(gateway.hops.size).toBe(0)
    expect(failures()).toBe(0)
  })
})
