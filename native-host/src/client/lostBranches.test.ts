/** Who is to blame for branches of accounts that are lost before anything came of them, and how soon another way is taken. */
import { accountGroup } from '@nightjar/shared/accounts'
import { type ErrorCode, NightjarError } from '@nightjar/shared/errors'
import { minute, second } from '@nightjar/shared/runtime'
import { describe, expect, test } from 'vitest'
import { startFollowing } from './testing/follow.ts'
import type { FakeRelay } from './testing/relay.ts'

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
