/** The lab as a whole: what nightjar-lab simulates is what bench/src/lab attacks, and the attack does not cheat. */
import { beforeAll, describe, expect, test } from 'vitest'
import { attackersOf } from '../bench/src/lab/attackers.ts'
import { crowdOf } from '../bench/src/lab/crowd.ts'
import { featuresOf, prepare } from '../bench/src/lab/features.ts'
import type { GatewayRecord, Recorded } from '../bench/src/lab/records.ts'
import { aucOf } from '../bench/src/lab/score.ts'
import { logsOfGateways, logsOfProvider, type Trace, traceIn } from '../bench/src/lab/traces.ts'
import { chanceOf } from '../native-host/src/lab/chance.ts'
import { LabClock } from '../native-host/src/lab/clock.ts'
import { Watching } from '../native-host/src/lab/gateway.ts'
import { type LinkingOptions, simulateLinking } from '../native-host/src/lab/linking.ts'
import type { Strategy } from '../native-host/src/lab/strategies.ts'
import type { Party } from '../native-host/src/lab/views.ts'
import { chainId, makeWorld } from '../native-host/src/lab/world.ts'
import { Watch } from '../relay-server/src/gateway/watch.ts'

const minute = 60_000

/** Wallets are opened often, so that half an hour has enough to learn from. */
async function simulate(strategy: Strategy, options: Partial<LinkingOptions> = {}): Promise<Recorded> {
  const records: Record<Party, object[]> = { gateway: [], provider: [], middle: [], chain: [], truth: [] }
  const views = { write: (party: Party, record: object) => void records[party].push(record) }
  await simulateLinking({ users: 20, hours: 0.5, seed: 1, sessionsPerDay: 72, strategy, views, ...options })
  return records as object as Recorded
}

const attack = (recorded: Recorded, seed = 1) =>
  attackersOf(recorded, { length: 30 * minute, random: chanceOf(seed).next })

describe('20 users for half an hour', () => {
  const recorded: Partial<Record<Strategy, Recorded>> = {}
  const of = (strategy: Strategy) => recorded[strategy] as Recorded
  beforeAll(async () => {
    for (const strategy of ['direct', 'split', 'watches'] as const) recorded[strategy] = await simulate(strategy)
  }, 60_000)

  test('sent as they are, accounts are linked', () => {
    expect(attack(of('direct')).gateways(30 * minute).auc).toBeGreaterThan(0.99)
    expect(attack(of('direct')).provider(30 * minute).auc).toBeGreaterThan(0.99)
  })

  test('taken apart and no more, accounts are linked', () => {
    expect(attack(of('split')).gateways(30 * minute).auc).toBeGreaterThan(0.95)
    expect(attack(of('split')).provider(30 * minute).auc).toBeGreaterThan(0.95)
  })

  test.each(['split', 'watches'] as const)(
    '%s: no gateway, branch or question has two accounts of a user',
    (strategy) => {
      const { gateway, provider, truth } = of(strategy)
      const users = new Map(truth.flatMap(({ user, account }) => (account === undefined ? [] : [[account, user]])))
      const seen = new Map<string, string>()
      for (const { gateway: name, branch, accounts = [] } of gateway) {
        expect(accounts.length).toBeLessThan(2)
        for (const account of accounts) {
          for (const place of [`${name} ${users.get(account)}`, `${branch}`]) {
            expect(seen.get(place) ?? account).toBe(account)
            seen.set(place, account)
          }
        }
      }
      expect(seen.size).toBeGreaterThan(0)
      expect(provider.every(({ accounts }) => accounts.length === 1)).toBe(true)
    },
  )

  test('with watches, polls of all accounts do not leave the machine', () => {
    const calls = (strategy: Strategy) => of(strategy).provider.filter(({ method }) => method === 'eth_call').length
    expect(calls('watches')).toBeLessThan(calls('split') / 2)
    expect(of('watches').provider.some(({ method }) => method === 'eth_getProof')).toBe(true)
  })

  test('where branches come from tells little, and all where gateways provoke what has no inner middle', async () => {
    const recorded = await simulate('watches', { hasInner: false, isProvoked: true })
    expect(attack(recorded).gateways(30 * minute).auc).toBeGreaterThan(0.95)
    const { telling } = attack(of('watches')).gateways(30 * minute)
    const [, area] = telling.find(([name]) => name === 'comes from the same relays') ?? ['', 0.5]
    expect(area).toBeLessThan(0.55)
  })

  test('where it is told wrong users, the attack finds nothing', () => {
    const areas = Array.from({ length: 10 }, (_, seed) => {
      const { truth, ...views } = of('split')
      const chance = chanceOf(seed)
      const users = new Map<string, number>()
      for (const { user, account } of truth) if (account !== undefined) users.set(account, user)
      const mixed = [...users.values()].map((user) => ({ user, at: chance.next() })).sort((a, b) => a.at - b.at)
      const wrong = [...users.keys()].map((account, index) => ({ account, user: mixed[index]?.user ?? 0 }))
      return attack({ ...views, truth: wrong }, seed).gateways(30 * minute).auc ?? Number.NaN
    })
    const mean = areas.reduce((sum, area) => sum + area, 0) / areas.length
    expect(mean).toBeGreaterThan(0.44)
    expect(mean).toBeLessThan(0.56)
  })
})

test('the lab’s gateways read when real ones do', async () => {
  const world = makeWorld(3, 1)
  const chance = chanceOf(3)
  for (const { id } of world.network.relays.filter(({ chains }) => chains.includes(chainId)).slice(0, 8)) {
    const params = { account: '0x', stride: 1 + chance.index(3), delay: Math.floor(chance.between(0, 40_000)) }
    const start = world.start + chance.between(0, minute)
    const times: { model: number[][]; real: number[][] } = { model: [], real: [] }

    const clock = new LabClock(start)
    const onRead = (_: object, block: number) => {
      times.model.push([Math.round(clock.now()), block])
      return false
    }
    new Watching({ clock, world, gateway: id, random: () => 0, onRead }).follow(params, { onSlot() {}, onDone() {} })
    await clock.run(start + 10 * minute)

    const other = new LabClock(start)
    const heads = {
      follow(listener: { onHead(head: { number: bigint }): void }) {
        const tell = (block: number) => {
          listener.onHead({ number: BigInt(block) })
          other.after(world.headTime(id, block + 1) - other.now(), () => tell(block + 1))
        }
        tell(world.headAt(id, start))
      },
      unfollow() {},
    }
    const reader = {
      async read(number: bigint) {
        times.real.push([Math.round(other.now()), Number(number)])
        return { answers: [], isLast: false }
      },
    }
    // As much of the followed heads as a watch uses.
    const options = { heads: heads as never, clock: other, reader, ...params }
    new Watch(options, { onAnswers() {}, onEnd() {} }).start()
    await other.run(start + 10 * minute)
    expect(times.model.length).toBeGreaterThan(5)
    expect(times.model).toEqual(times.real)
  }
})

describe('relays that branches come from', () => {
  const froms = { a: ['rare'], b: ['rare', 'usual'], c: ['usual'], d: ['usual'], e: ['usual'], f: [] }
  const slots = Object.keys(froms).map((account, branch): GatewayRecord => {
    return { gateway: 'g', branch, event: 'slot', time: 15 * minute, accounts: [account] }
  })
  const opens = Object.values(froms).map((from, branch): GatewayRecord => {
    return { gateway: 'g', branch, event: 'open', time: -1 * minute, from }
  })
  const closes = Object.keys(froms).map((_, branch): GatewayRecord => {
    return { gateway: 'g', branch, event: 'close', time: 16 * minute }
  })

  /** What two have in common in the second ten minutes, long after their branches were opened. */
  function common(one: string, other: string, logs = logsOfGateways([...opens, ...slots, ...closes])) {
    const [from, to] = [10 * minute, 20 * minute]
    const traces = [...logs].flatMap(([name, log]) => traceIn(name, log, from, to) ?? [])
    const of = (account: string) => prepare(traces.find(({ name }) => name === account) as Trace, from, to)
    const features = featuresOf(of(one), of(other), crowdOf(traces, from, to))
    return [features['comes from the same relays'], features['share of relays it comes from']]
  }

  test('link two more, the fewer others come from them', () => {
    expect(common('a', 'b')).toEqual([Math.log(6 / 2), 1])
    expect(common('c', 'd')).toEqual([Math.log(6 / 4), 1])
    expect(common('a', 'c')).toEqual([0, 0])
    expect(common('a', 'f')).toEqual([0, 0])
  })

  test('count as long as a branch stands, and no longer', () => {
    const early = closes.map((record) => ({ ...record, time: 9 * minute }))
    expect(common('a', 'b', logsOfGateways([...opens, ...slots, ...early]))).toEqual([0, 0])
  })

  test('are nothing that a provider knows', () => {
    const reads = slots.map(({ gateway, time, accounts = [] }) => ({ gateway, time, accounts, method: 'eth_getProof' }))
    expect(common('a', 'b', logsOfProvider(reads))).toEqual([0, 0])
  })
})

test('areas are exact, by ranks', () => {
  const pairs = (linked: readonly number[], others: readonly number[]) => [
    ...linked.map((score) => ({ score, isLinked: true })),
    ...others.map((score) => ({ score, isLinked: false })),
  ]
  expect(aucOf(pairs([3, 2], [1, 0]))).toBe(1)
  expect(aucOf(pairs([0], [1]))).toBe(0)
  expect(aucOf(pairs([1, 1], [1, 1]))).toBe(0.5)
  expect(aucOf(pairs([2, 0], [1, 0]))).toBe(0.625)
  expect(aucOf(pairs([1], []))).toBeUndefined()
})
