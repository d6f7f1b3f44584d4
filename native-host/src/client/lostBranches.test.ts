/** Who is to blame for branches of accounts that are lost before anything came of them, and how soon another way is taken. */
import { accountGroup } from '@nightjar/shared/accounts'
import { type ErrorCode, NightjarError } from '@nightjar/shared/errors'
import { minute, second } from '@nightjar/shared/runtime'
import { networkOf } from '@nightjar/shared/testing'
import { describe, expect, test } from 'vitest'
import { startFollowing } from './testing/follow.ts'
import type { FakeHop, FakeRelay } from './testing/relay.ts'

const group = accountGroup(`0x${'07'.repeat(20)}`)
const call = { method: 'eth_call' }

/** An account's client, its gateway, and how often each gateway is greeted. */
async function start() {
  const { net, client } = await startFollowing(4, 12)
  const { clock } = net
  const own = net.named(client.gateways(group, 1)[0]?.relay.name as string)
  const greeted: string[] = []
  for (const each of net.relays) {
    const { secrets } = each
    each.secrets = (key) => {
      if (key === each.envelope) greeted.push(each.relay.name)
      return secrets.call(each, key)
    }
  }
  const innerOf = (gateway: FakeRelay) =>
    net.relays.find(({ hops }) =>
      [...hops].some(({ children }) => [...children.values()].some(({ owner }) => owner === gateway)),
    )
  /** The gateway that answers, or the code of the error, with time going on. */
  async function ask(): Promise<unknown> {
    let answer: unknown
    client.request({ group, chain: 1, call }).then(
      (outcome) => {
        answer = 'result' in outcome ? outcome.result : outcome
      },
      (error: { code: ErrorCode }) => {
        answer = error.code
      },
    )
    for (let quarters = 0; quarters < 400 && answer === undefined; quarters++) {
      await net.settle()
      if (answer === undefined) await clock.elapse(second / 4)
    }
    return answer
  }
  return { net, client, own, greeted, innerOf, ask }
}

// Found by review: an account was kept from all of its gateways by the first of them, behind inner middle after inner middle.
describe('a gateway that takes the greeting and then', () => {
  test.each<[string, (gateway: FakeRelay) => void]>([
    [
      'cuts the branch when it is asked',
      (gateway) => {
        gateway.answer = () => {
          for (const hop of [...gateway.hops]) hop.end('overflow')
          return { result: 'too late' }
        }
      },
    ],
    [
      'sends what cannot be read',
      (gateway) => {
        gateway.answer = () => {
          for (const hop of [...gateway.hops]) hop.spoil()
          return { result: 'too late' }
        }
      },
    ],
  ])('%s is left after two inner middles, and the account’s next one answers', async (_, spoil) => {
    const { client, own, greeted, ask } = await start()
    const next = client.gateways(group, 1)[1]?.relay.name
    spoil(own)
    expect(await ask()).toBe(next)
    expect(greeted.filter((name) => name === own.relay.name)).toHaveLength(2)
  })

  test('does not prove who it is, is left at once: nobody before it can bring that about', async () => {
    const { client, own, greeted, ask } = await start()
    const next = client.gateways(group, 1)[1]?.relay.name
    const { secrets } = own
    own.secrets = (key) => ({ ...secrets.call(own, key), findKey: () => own.onion })
    expect(await ask()).toBe(next)
    expect(greeted.filter((name) => name === own.relay.name)).toHaveLength(1)
  })

  test('answers once, and is lost much later, is blamed no more than any other', async () => {
    const { net, client, own, innerOf, ask } = await start()
    for (let times = 0; times < 3; times++) {
      expect(await ask()).toBe(own.relay.name)
      for (const hop of innerOf(own)?.hops ?? []) hop.closeBranchTo(own.relay.name, 'overflow')
      await net.settle()
      await net.clock.elapse(1 * minute)
    }
    expect(client.gateways(group, 1)[0]).toMatchObject({ relay: { name: own.relay.name }, avoided: false })
  })
})

// Found by review: the account was cut off for good, and what is followed was opened anew as fast as it could be.
describe('an inner middle that says that the branch was given up', () => {
  test('when it is asked something is passed over, and another one leads to the same gateway', async () => {
    const { own, innerOf, ask } = await start()
    expect(await ask()).toBe(own.relay.name)
    const hostile = innerOf(own)
    let cuts = 0
    own.answer = () => {
      if (innerOf(own) === hostile) {
        cuts += 1
        for (const hop of hostile?.hops ?? []) hop.closeBranchTo(own.relay.name, 'branch-retired')
      }
      return { result: own.relay.name }
    }
    expect([await ask(), cuts]).toEqual([own.relay.name, 1])
  })

  test('while something is followed ends that, and whoever follows decides when to go on', async () => {
    const { net, client, own, innerOf } = await start()
    const ends: ErrorCode[] = []
    const question = { chain: 1, cells: 8, method: 'nightjar_watch', params: [] }
    const order = { group, chain: 1, questionFor: () => question }
    await net.run(client.follow(order, { onOutcome() {}, onEnd: (code) => ends.push(code) }))
    await net.settle()
    for (const hop of innerOf(own)?.hops ?? []) hop.closeBranchTo(own.relay.name, 'branch-retired')
    await net.settle()
    expect([ends, own.followed.length]).toEqual([['link-lost'], 1])
  })
})

// Found by review: it took an account to an inner middle of its choice, in no time, and to another gateway.
describe('a trunk’s middle that lets an account greet its gateway and then', () => {
  /** Calls `meddle` with each cell for a branch over the first middle that the account uses, once its gateway has replied. */
  async function behindMiddle(meddle: (child: FakeHop, pass: () => void) => void, onUp?: FakeRelay['onUp']) {
    const stage = await start()
    const { net, client } = stage
    const heard = new Map<FakeHop, number>()
    let hostile: string | undefined
    for (const { middle } of client.status().trunks) {
      const relay = net.named(middle.name)
      relay.onUp = (child, pass) => {
        heard.set(child, (heard.get(child) ?? 0) + 1)
        if (onUp === undefined) pass()
        else onUp(child, pass)
      }
      relay.onDown = (child, pass) => {
        hostile ??= middle.name
        // Two EXTENDED cells of the branch, and the reply.
        const isGreeted = (heard.get(child) ?? 0) >= 3
        if (middle.name === hostile && isGreeted) meddle(child, pass)
        else pass()
      }
    }
    return stage
  }

  test('cuts the branch, is not asked again for the next: the other trunk leads to the same gateway', async () => {
    const through: string[] = []
    const { own, greeted, ask } = await behindMiddle((child) => {
      through.push(child.owner.relay.name)
      child.end('link-lost')
    })
    expect(await ask()).toBe(own.relay.name)
    expect([through.length, greeted]).toEqual([1, [own.relay.name, own.relay.name]])
  })

  test('cuts it after an answer, again and again, comes to see no other inner middle', async () => {
    const through: string[] = []
    const answered = new Set<FakeHop>()
    const { own, ask, net } = await behindMiddle((child, pass) => {
      if (!answered.has(child)) {
        answered.add(child)
        return pass()
      }
      through.push(child.owner.relay.name)
      child.end('link-lost')
    })
    for (let times = 0; times < 20; times++) {
      expect(await ask()).toBe(own.relay.name)
      await net.clock.elapse(3 * minute)
    }
    expect([through.length > 1, new Set(through).size]).toEqual([true, 1])
  })

  test('holds the question until it is noticed, and has it look like the gateway’s silence, moves nobody', async () => {
    const held = new Map<FakeHop, { readonly since: number; readonly cells: (() => void)[] }>()
    const letUp = new Set<FakeHop>()
    const stage = await behindMiddle(
      (child, pass) => {
        const { clock } = stage.net
        const before = held.get(child) ?? { since: clock.elapsed(), cells: [] }
        held.set(child, before)
        before.cells.push(pass)
        if (clock.elapsed() - before.since >= 1.5 * second) for (const cell of before.cells.splice(0)) cell()
      },
      (child, pass) => {
        // The inner middle's PONG alone.
        if (!held.has(child)) return pass()
        if (letUp.has(child)) return
        letUp.add(child)
        pass()
      },
    )
    const { own, greeted, ask } = stage
    expect(await ask()).toBe(own.relay.name)
    expect(new Set(greeted)).toEqual(new Set([own.relay.name]))
  })
})

// Found by review: as no word of the gateway came over the busy one, it was asked for good.
test.each(['first', 'second'] as const)(
  'a gateway that is gone is left, though the %s middle is busy',
  async (which) => {
    const { net, client, own, ask } = await start()
    const next = client.gateways(group, 1)[1]?.relay.name
    const [first, second] = client.status().trunks.map(({ middle }) => net.named(middle.name))
    const busy = which === 'first' ? first : second
    if (busy !== undefined) busy.busy = true
    own.kill()
    expect(await ask()).toBe(next)
  },
)

// Found by review: it was asked for good, and nobody else was.
test('a gateway whose answers cannot be opened is left at once, and not asked again', async () => {
  const { net, client, own, ask } = await start()
  const next = client.gateways(group, 1)[1]?.relay.name
  own.garbles = true
  for (let times = 0; times < 3; times++) {
    expect(await ask()).toBe(next)
    await net.clock.elapse(5 * minute)
  }
  expect(own.asked).toHaveLength(1)
})

// Found by review: each network document has other objects for the same relays.
test('trunks do not come to share a middle after a new network document', async () => {
  const { net, client } = await start()
  const middles = () => client.status().trunks.map(({ middle }) => middle.name)
  const { hash, version } = net.network
  net.network = { ...networkOf(net.relays.map(({ relay }) => ({ ...relay }))), hash, version: version + 1 }
  net.named(middles()[1] as string).kill()
  for (let quarters = 0; quarters < 80; quarters++) {
    await net.settle()
    await net.clock.elapse(second / 4)
  }
  expect(new Set(middles()).size).toBe(2)
})

// Found by review: they stayed so until one of them was lost.
test('trunks that share a middle, as all others were gone, part once one is back', async () => {
  const { net, client } = await start()
  const middles = () => client.status().trunks.map(({ middle }) => middle.name)
  const before = middles()
  for (const name of before) net.named(name).kill()
  for (let quarters = 0; quarters < 40; quarters++) {
    await net.settle()
    await net.clock.elapse(second / 4)
  }
  expect(new Set(middles()).size).toBe(1)
  // Nothing is looked up for that in a document that is not valid any more: it would end the process.
  const { network } = net
  Object.defineProperty(net, 'network', {
    configurable: true,
    get() {
      throw new NightjarError('document-expired')
    },
  })
  await net.clock.elapse(1 * minute)
  Object.defineProperty(net, 'network', { value: network })
  for (const name of before) net.named(name).up = true
  for (let minutes = 0; minutes < 3; minutes++) {
    await net.clock.elapse(1 * minute)
    await net.settle()
  }
  expect(new Set(middles()).size).toBe(2)
})
