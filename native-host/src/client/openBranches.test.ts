import { limits } from '@nightjar/shared/limits'
import { minute, second } from '@nightjar/shared/runtime'
import { codeOfAsync } from '@nightjar/shared/testing'
import { describe, expect, test } from 'vitest'
import { GatewayBranch } from './gatewayBranch.ts'
import { TestNetwork } from './testing/network.ts'
import { onTwoTrunks } from './testing/slot.ts'

/** Two trunks that stand, and a gateway to which branches go. */
async function start() {
  const stage = await onTwoTrunks(await TestNetwork.create({ relays: 3, gateways: 1 }), [])
  const { net, first, slots, health, open } = stage
  const [near, far, gateway] = [net.named('r1'), net.named('r2'), net.named('g0')]
  const opening = (relay = gateway.relay) =>
    open.open({ group: 'me', relay, hidesMiddle: false }, (options, hop) => ({
      branch: new GatewayBranch(options, hop),
    }))
  const to = (relay = gateway.relay) => net.run(opening(relay))
  /** Has every place of the second trunk taken. */
  async function fillSecond(): Promise<GatewayBranch[]> {
    slots.shift()
    const filled: GatewayBranch[] = []
    for (let index = 0; index < 32; index++) {
      filled.push((await to()).branch)
      net.clock.advance(1)
    }
    slots.unshift(first.slot)
    far.extendsAsked = 0
    return filled
  }
  const failures = () => health.failuresOf(gateway.relay)
  const asked = () => [near, far].map(({ extendsAsked }) => extendsAsked)
  return { ...stage, near, far, gateway, opening, to, fillSecond, failures, asked }
}

function followOn(branch: GatewayBranch): void {
  branch.follow(new Uint8Array(928), 1, { onRecord() {}, onEnd() {} })
}

describe('where a middle says that the relay at the end', () => {
  test.each(['connect-failed', 'timed-out', 'unknown-relay', 'link-lost'] as const)(
    'has failed (%s), the branch goes over the other trunk, and nobody is blamed',
    async (code) => {
      const { second, near, to, failures, asked } = await start()
      near.refuses = code
      expect((await to()).branch.slot).toBe(second.slot)
      expect([asked(), failures()]).toEqual([[1, 1], 0])
    },
  )

  test('something, but late, the branch goes over the other trunk, and the late one is closed', async () => {
    const { net, slots, second: other, near, gateway, opening, open } = await start()
    near.extendsTake = 3 * second
    const opened = opening()
    await net.clock.elapse(2 * second)
    expect((await net.run(opened)).branch.slot).toBe(other.slot)
    await net.clock.elapse(1 * second)
    await net.settle()
    expect([gateway.hops.size, open.all.length]).toEqual([1, 1])
    // Nor does it take a place.
    near.extendsTake = 0
    slots.pop()
    for (let count = 0; count < 32; count++) await net.run(opening())
    expect([gateway.hops.size, open.all.length]).toEqual([33, 33])
  })

  test('nothing, and answers all else, it is the same two seconds later', async () => {
    const { net, second: other, near, opening, failures, asked } = await start()
    near.refuses = 'without a word'
    const opened = opening()
    await net.clock.elapse(2 * second)
    expect((await net.run(opened)).branch.slot).toBe(other.slot)
    expect([asked(), failures()]).toEqual([[1, 1], 0])
    await net.clock.elapse(limits.handshakeTimeout)
    expect(failures()).toBe(0)
  })
})

describe('where a relay on the way is busy', () => {
  test('the branch goes over the other trunk, and nobody is blamed', async () => {
    const { second, near, to, failures, asked, open } = await start()
    near.busy = true
    const { branch } = await to()
    expect(branch.slot).toBe(second.slot)
    expect([asked(), failures()]).toEqual([[1, 1], 0])
    expect(open.all).toEqual([branch])
  })

  test('on all trunks, the relay at the end is blamed once, after each was asked once', async () => {
    const { gateway, to, failures, asked } = await start()
    gateway.busy = true
    expect(await codeOfAsync(() => to())).toBe('busy')
    expect([asked(), failures()]).toEqual([[1, 1], 1])
  })

  test('a trunk on which the relay cannot be the end is not asked, and keeps nobody from blame', async () => {
    const { near, far, gateway, to, failures, asked } = await start()
    near.busy = true
    expect(await codeOfAsync(() => to({ ...gateway.relay, operator: far.relay.operator }))).toBe('busy')
    expect([asked(), failures()]).toEqual([[1, 0], 1])
  })

  test('and no other trunk stands, nobody is blamed', async () => {
    const { slots, gateway, to, failures, asked } = await start()
    slots.pop()
    gateway.busy = true
    expect(await codeOfAsync(() => to())).toBe('busy')
    expect([asked(), failures()]).toEqual([[1, 0], 0])
  })

  test('what else fails on the other trunk counts as ever', async () => {
    const { near, gateway, to, failures, asked } = await start()
    near.busy = true
    gateway.up = false
    expect(await codeOfAsync(() => to())).toBe('connect-failed')
    expect([asked(), failures()]).toEqual([[1, 1], 1])
  })

  test('another trunk that has gone meanwhile is not asked, and nobody is blamed', async () => {
    const { net, near, far, to, failures, asked } = await start()
    near.busy = true
    const opened = to()
    far.kill()
    expect(await codeOfAsync(() => opened)).toBe('busy')
    expect([asked(), failures()]).toEqual([[1, 0], 0])
    await net.clock.elapse(1 * minute)
  })

  test('no place stays taken on its trunk', async () => {
    const { first, near, to } = await start()
    near.busy = true
    for (let count = 0; count < 33; count++) (await to()).branch.retire()
    near.busy = false
    expect((await to()).branch.slot).toBe(first.slot)
  })
})

describe('where a relay on the way is busy, and the other trunk is full', () => {
  test('the branch makes room that was idle for longest', async () => {
    const { second, near, to, fillSecond, failures, open } = await start()
    const filled = await fillSecond()
    near.busy = true
    followOn(filled[0] as GatewayBranch)
    Object.assign(filled[0] as GatewayBranch, { lastUsed: -1 })
    const { branch } = await to()
    expect(branch.slot).toBe(second.slot)
    expect(filled.map(({ error }) => error?.code).slice(0, 3)).toEqual([undefined, 'branch-retired', undefined])
    expect([open.all.length, failures()]).toEqual([32, 0])
  })

  test('nothing that is followed gives way, and nobody is blamed', async () => {
    const { near, to, fillSecond, failures, asked } = await start()
    const filled = await fillSecond()
    near.busy = true
    for (const branch of filled) followOn(branch)
    expect(await codeOfAsync(() => to())).toBe('busy')
    expect(filled.filter(({ error }) => error !== undefined)).toEqual([])
    expect([asked(), failures()]).toEqual([[1, 0], 0])
  })
})

test('where several wait for a relay that cannot be reached, it was asked once and is blamed once', async () => {
  const { slots, gateway, to, failures, asked } = await start()
  slots.pop()
  gateway.up = false
  const codes = await Promise.all([to(), to(), to()].map((opened) => codeOfAsync(() => opened)))
  expect(codes).toEqual(['connect-failed', 'connect-failed', 'connect-failed'])
  expect([asked(), failures()]).toEqual([[1, 0], 1])
  expect(await codeOfAsync(() => to())).toBe('connect-failed')
  expect([asked(), failures()]).toEqual([[2, 0], 2])
})
