import { describe, expect, it, test } from 'vitest'
import type { NightjarError } from '../errors/index.ts'
import type { Hex } from '../proofs/index.ts'
import type { Outcome } from '../rpc/index.ts'
import { day, minute, second } from '../runtime.ts'
import { defaultSettings } from './context.ts'
import { accountOf, balancesAnswer, balancesCall, type Stage, setStage, site } from './testing/stage.ts'

const [a, b] = [accountOf(0), accountOf(1)]
const groupOfA = `account ${a}`
const hexOf = (number: number) => `0x${number.toString(16)}`
/** The balance of each account is the number of the block. */
const rising = (accounts: readonly Hex[]) => (number: number) =>
  new Map(accounts.map((account) => [account, { balance: BigInt(number), nonce: BigInt(number) }]))

async function newestOf({ ask, settled }: Pick<Stage, 'ask' | 'settled'>): Promise<number> {
  return Number(((await settled(ask('eth_blockNumber'))) as { readonly result: string }).result)
}

const codeOf = (result: unknown) => (result as NightjarError).code

/** What was sent since, except for heads. */
function sentFor({ gateways }: Stage, from = 0): readonly string[] {
  return gateways.asked
    .slice(from)
    .filter(({ group }) => !group.startsWith('heads'))
    .map(({ group, what, method }) => `${group}: ${what} ${method}`)
}

/** One account, watched and warm. */
async function warm(options: Parameters<typeof setStage>[0] = {}): Promise<Stage> {
  const stage = await setStage(options)
  stage.run(rising(stage.all))
  await stage.settled(stage.ask('eth_getBalance', [a, 'latest']))
  await stage.clock.elapse(defaultSettings.coldSpread + 5 * minute)
  return stage
}

describe('one account', () => {
  it('is answered from its watch, at the block that the wallet was told, without anything being sent', async () => {
    const stage = await setStage()
    const { ask, chain, clock, gateways, run, settled } = stage
    run(rising([a]))
    expect(await settled(ask('eth_getBalance', [a, hexOf(chain.head.number)]))).toEqual({ result: '0x1' })
    // It does not wait for its watch, which is as late as if there were others.
    expect(sentFor(stage)).toEqual([`${groupOfA}: request eth_getProof`])
    await clock.elapse(defaultSettings.coldSpread + 4 * minute)
    const sent = gateways.asked.length
    const block = await newestOf(stage)
    expect(chain.head.number - block).toBeLessThan(3)
    expect(await settled(ask('eth_getBalance', [a, hexOf(block)]))).toEqual({ result: hexOf(block) })
    expect(await settled(ask('eth_getTransactionCount', [a, hexOf(block)]))).toEqual({ result: hexOf(block) })
    expect(await settled(ask('eth_getCode', [a, hexOf(block)]))).toEqual({ result: '0x' })
    expect(await settled(ask('eth_getBalance', [a, 'latest']))).toEqual({ result: hexOf(block) })
    expect(await settled(ask('eth_getBalance', [a.toUpperCase().replace('X', 'x')]))).toEqual({ result: hexOf(block) })
    const call = balancesCall([a], hexOf(block))
    expect(await settled(ask(call.method, call.params as never))).toEqual(balancesAnswer([BigInt(block)]))
    // A third gateway is followed from the nonce on, which is asked for before something is sent.
    expect(sentFor(stage, sent)).toEqual([])
  })

  it('is asked of its own gateway where the watch cannot say', async () => {
    const stage = await warm()
    const { ask, chain, gateways, settled } = stage
    const from = gateways.asked.length
    const old = chain.head.number - 70
    expect(await settled(ask('eth_getBalance', [a, hexOf(old)]))).toEqual({ result: hexOf(old) })
    await settled(ask('eth_getBalance', [a, 'pending']))
    await settled(
      ask('eth_call', [{ to: `0x${'77'.repeat(20)}`, data: `0x70a08231${a.slice(2).padStart(64, '0')}` }, 'latest']),
    )
    const asked = ['eth_getProof', 'eth_getBalance', 'eth_call'].map((method) => `${groupOfA}: request ${method}`)
    expect(sentFor(stage, from)).toEqual(asked)
  })

  it('waits for a block that is about to come, and asks for it after two slots', async () => {
    const stage = await warm()
    const { ask, chain, clock, gateways, settled } = stage
    const from = gateways.asked.length
    const next = chain.head.number + 1
    expect(await settled(ask('eth_getBalance', [a, hexOf(next)]))).toEqual({ result: hexOf(next) })
    expect(sentFor(stage, from)).toEqual([])
    const start = clock.now()
    expect(await settled(ask('eth_getBalance', [a, hexOf(next + 10)]))).toHaveProperty('error')
    expect(clock.now() - start).toBe(24 * second)
    const asked = ['eth_getProof', 'eth_getBalance'].map((method) => `${groupOfA}: request ${method}`)
    expect(sentFor(stage, from)).toEqual(asked)
  })

  it('is watched from blocks without proofs, and without a rhythm', async () => {
    const stage = await setStage({ chainId: 31337, blockTime: 1000 })
    stage.gateways.faults.set(groupOfA, { hasNoProof: true })
    expect(await stage.settled(stage.ask('eth_getBalance', [a, 'latest']))).toEqual({ result: '0x1' })
    await stage.chain.mine(rising([a])(7))
    stage.gateways.announce()
    await stage.clock.elapse(12 * second)
    expect(await newestOf(stage)).toBe(1001)
    expect(await stage.settled(stage.ask('eth_getBalance', [a, '0x3e9']))).toEqual({ result: '0x7' })
    expect(stage.accounts.status.counts).toMatchObject({ verified: 0, unverified: 2 })
  })

  it('is read every few blocks of a fast chain, and the wallet is told only of those', async () => {
    const stage = await warm({ chainId: 8453, blockTime: 2 })
    const block = await newestOf(stage)
    expect(block % 6).toBe(0)
    const from = stage.gateways.asked.length
    expect(await stage.settled(stage.ask('eth_getBalance', [a, hexOf(block)]))).toEqual({ result: hexOf(block) })
    expect(sentFor(stage, from)).toEqual([])
  })

  it('is never read at the genesis block, whose root is not that of its state where the chain is a local one', async () => {
    // Fourteen blocks within a second: the grid's newest would be that one.
    const stage = await setStage({ chainId: 31337, blockTime: 0.1, height: 14, settings: { coldSpread: 0 } })
    await stage.settled(stage.ask('eth_getBalance', [a, 'latest']))
    await stage.clock.elapse(minute)
    expect(stage.accounts.status.watched).toBe(1)
    expect(stage.gateways.asked.filter(({ method }) => method === 'eth_getProof')).toEqual([])
    expect(await stage.settled(stage.ask('eth_getBalance', [a, 'latest']))).toEqual({ result: '0x1' })
    expect(await stage.settled(stage.ask('eth_getBalance', [a, '0x0']))).toEqual({ result: '0x1' })
    expect(stage.gateways.asked.filter(({ method }) => method === 'eth_getProof')).toEqual([])
  })

  it('has no latest value any more where its watch was lost: it is asked for', async () => {
    const stage = await warm()
    stage.gateways.faults.set(groupOfA, { isSilent: true })
    stage.gateways.loseBranches(groupOfA)
    const from = stage.gateways.asked.length
    await stage.clock.elapse(1 * minute)
    const { number } = stage.chain.head
    expect(await stage.settled(stage.ask('eth_getBalance', [a, 'latest']))).toEqual({ result: hexOf(number) })
    expect(sentFor(stage, from)).toContain(`${groupOfA}: request eth_getBalance`)
  })

  it('is asked for once where its gateway is silent: a branch that is kept would not show that it is gone', async () => {
    const stage = await warm()
    stage.gateways.faults.set(groupOfA, { isSilent: true })
    const from = stage.gateways.asked.length
    await stage.clock.elapse(1 * minute)
    expect(sentFor(stage, from)).toContain(`${groupOfA}: request eth_getProof`)
  })

  it('does not take the wallet back behind the block that it was told before there was a watch', async () => {
    const stage = await setStage({ chainId: 8453, blockTime: 2 })
    expect(await newestOf(stage)).toBe(1000)
    // The newest block of the grid is 996.
    expect(await stage.settled(stage.ask('eth_getBalance', [a, 'latest']))).toEqual({ result: '0x1' })
    expect(await newestOf(stage)).toBe(1000)
    stage.run()
    await stage.clock.elapse(30 * second)
    expect((await newestOf(stage)) % 6).toBe(0)
  })

  it('is registered again after a lost branch, with the same delay and after a pause of its own', async () => {
    const stage = await warm()
    const { chain, clock, gateways, settled, ask } = stage
    const before = await newestOf(stage)
    gateways.loseBranches(groupOfA)
    const [lostAt, from] = [clock.now(), gateways.asked.length]
    expect(await settled(ask('eth_getBalance', [a, hexOf(before)]))).toEqual({ result: hexOf(before) })
    await clock.elapse(defaultSettings.coldSpread)
    const follows = gateways.asked.filter(({ group, what }) => group === groupOfA && what === 'follow')
    expect(follows).toHaveLength(2)
    expect(follows[1]?.params).toEqual(follows[0]?.params)
    expect((follows[1]?.at ?? 0) - lostAt).toBeGreaterThan(0)
    // Nothing else: whoever renews a branch asks nothing there either.
    expect(sentFor(stage, from)).toEqual([`${groupOfA}: follow nightjar_watch`])
    expect(chain.head.number - (await newestOf(stage))).toBeLessThan(3)
  })

  it('is registered again where its gateway refuses it, which says so and is done', async () => {
    const stage = await warm()
    const { chain, clock, gateways } = stage
    gateways.refuse(groupOfA)
    await clock.elapse(defaultSettings.coldSpread)
    const follows = gateways.asked.filter(({ group, what }) => group === groupOfA && what === 'follow')
    expect(follows).toHaveLength(2)
    expect(chain.head.number - (await newestOf(stage))).toBeLessThan(3)
  })

  it('is registered less and less often where no gateway takes it, and its calls say why', async () => {
    const stage = await setStage()
    stage.run()
    stage.gateways.faults.set(groupOfA, { isGone: true })
    expect(codeOf(await stage.settled(stage.ask('eth_getBalance', [a, 'latest'])))).toBe('timed-out')
    await stage.clock.elapse(6 * defaultSettings.coldSpread)
    const times = stage.gateways.asked.filter(({ what, group }) => what === 'follow' && group === groupOfA)
    expect(times.length).toBeGreaterThan(2)
    expect(times.length).toBeLessThan(12)
    expect(codeOf(await stage.settled(stage.ask('eth_getBalance', [a, 'latest'])))).toBe('timed-out')
  })

  it('ends some time after the last call, and begins anew with the next', async () => {
    // Of a slow chain: a week has fewer blocks.
    const stage = await warm({ chainId: 31337, blockTime: 600 })
    const { ask, clock, gateways, settled } = stage
    const asked = clock.now()
    await settled(ask('eth_getBalance', [a, 'latest']))
    await clock.elapse(8 * day)
    const ends = gateways.asked.filter(({ what, group }) => what === 'stop' && group === groupOfA)
    expect(ends).toHaveLength(1)
    const after = (ends[0]?.at ?? 0) - asked
    expect(after).toBeGreaterThanOrEqual(3 * day)
    expect(after).toBeLessThanOrEqual(7 * day)
    expect(gateways.asked.filter(({ what, group }) => what === 'stop' && group.startsWith('heads'))).toHaveLength(2)
    expect(stage.accounts.status.watched).toBe(0)
    const from = gateways.asked.length
    expect(await settled(ask('eth_getBalance', [a, 'latest']))).toEqual({ result: hexOf(stage.chain.head.number) })
    await clock.elapse(defaultSettings.coldSpread)
    expect(sentFor(stage, from)).toContain(`${groupOfA}: follow nightjar_watch`)
  })
})

it('are begun anew after all were ended, as where the user turns off and on again', async () => {
  const stage = await setStage({ settings: { coldSpread: minute } })
  stage.accounts.stop()
  stage.run()
  await stage.settled(stage.ask('eth_getBalance', [a, 'latest']))
  await stage.clock.elapse(2 * minute)
  expect(stage.accounts.status).toMatchObject({ watched: 1, cold: 0 })
})

describe('several accounts', () => {
  const poll = (stage: Stage, block: number): Promise<Outcome | Error> => {
    const call = balancesCall(stage.all, hexOf(block))
    return stage.settled(stage.accounts.request({ site, chain: 1, call, own: stage.own }))
  }

  it('begin at times of their own; a poll meanwhile is told to ask again', async () => {
    const stage = await setStage({ accounts: 10 })
    stage.run(rising(stage.all))
    const start = stage.clock.now()
    const first = await poll(stage, stage.chain.head.number)
    expect(first).toMatchObject({ code: 'still-apart', facts: { seconds: expect.any(Number) } })
    expect(stage.clock.now() - start).toBeLessThanOrEqual(20 * second)
    await stage.clock.elapse(defaultSettings.coldSpread + 10 * second)
    const follows = stage.gateways.asked.filter(({ method }) => method === 'nightjar_watch')
    expect(new Set(follows.map(({ at }) => Math.floor(at / second))).size).toBeGreaterThan(7)
    expect(follows).toHaveLength(10)
    const from = stage.gateways.asked.length
    for (let each = 0; each < 5; each++) {
      const block = await newestOf(stage)
      expect(await poll(stage, block)).toEqual(balancesAnswer(stage.all.map(() => BigInt(block))))
      await stage.clock.elapse(13 * second)
    }
    expect(sentFor(stage, from)).toEqual([])
  })

  it('do not wait for one that is silent; its account is asked for meanwhile', async () => {
    const stage = await setStage({ accounts: 3, settings: { coldSpread: second } })
    stage.run(rising(stage.all))
    await poll(stage, stage.chain.head.number)
    await stage.clock.elapse(2 * minute)
    stage.gateways.faults.set(`account ${b}`, { isSilent: true })
    const from = stage.gateways.asked.length
    await stage.clock.elapse(1 * minute)
    const block = await newestOf(stage)
    expect(stage.chain.head.number - block).toBeLessThan(3)
    expect(await poll(stage, block)).toEqual(balancesAnswer(stage.all.map(() => BigInt(block))))
    const lines = sentFor(stage, from)
    expect(lines).toContain(`account ${b}: request eth_getProof`)
    expect(lines.filter((line) => !line.startsWith(`account ${b}`))).toEqual([])
    stage.gateways.faults.clear()
    await stage.clock.elapse(2 * minute)
    const later = stage.gateways.asked.length
    const next = await newestOf(stage)
    expect(await poll(stage, next)).toEqual(balancesAnswer(stage.all.map(() => BigInt(next))))
    expect(sentFor(stage, later)).toEqual([])
  })

  it('are told a newest block that never goes back, whoever is lost, late or new', async () => {
    const stage = await setStage({ accounts: 4, chainId: 8453, blockTime: 2, settings: { coldSpread: minute } })
    stage.run(rising(stage.all))
    let newest = 0
    for (let each = 0; each < 120; each++) {
      const account = stage.all[Math.floor(stage.random() * 4)] as Hex
      if (each % 7 === 0) void stage.ask('eth_getBalance', [account, 'latest']).catch(() => undefined)
      if (each % 30 === 29) stage.gateways.loseBranches(`account ${account}`)
      const block = await newestOf(stage)
      expect(block).toBeGreaterThanOrEqual(newest)
      newest = block
      await stage.clock.elapse(3 * second)
    }
    expect(newest).toBeGreaterThan(1100)
  })
})

test('nothing is kept of more accounts and chains than there may be', async () => {
  const stage = await setStage({ accounts: 120, settings: { coldSpread: second } })
  for (let chain = 1; chain <= 7; chain++) {
    for (const account of stage.all) {
      const call = { method: 'eth_getBalance', params: [account, 'latest'] }
      void stage.accounts.request({ site, chain, call, own: stage.own, watchable: 200 }).catch(() => undefined)
    }
  }
  await stage.clock.elapse(1 * minute)
  expect(stage.accounts.status.watched).toBe(500)
  stage.accounts.stop()
  expect(stage.clock.pending).toBe(0)
})

describe('a client that is started again', () => {
  it('watches what it watched, and its gateways are asked nothing that a renewal would not ask', async () => {
    const stage = await warm({ accounts: 2 })
    const { ask, chain, clock, gateways, settled } = stage
    const both = () => {
      const { method, params } = balancesCall([a, b], hexOf(chain.head.number))
      return settled(ask(method, params as never))
    }
    await both()
    await clock.elapse(defaultSettings.coldSpread + 5 * minute)
    const groups = [groupOfA, `account ${b}`]
    const asked = (from: number) =>
      gateways.asked.slice(from).filter(({ group, what }) => groups.includes(group) && what !== 'stop')
    const watchesOf = (from: number) =>
      Object.fromEntries(
        asked(from)
          .filter(({ what }) => what === 'follow')
          .map(({ group, params }) => [group, params]),
      )
    const before = watchesOf(0)
    expect(Object.keys(before).sort()).toEqual([...groups].sort())
    const from = gateways.asked.length
    stage.restart()
    await both()
    await clock.elapse(defaultSettings.coldSpread + 5 * minute)
    expect(watchesOf(from)).toEqual(before)
    expect(asked(from).filter(({ what }) => what === 'request')).toEqual([])
    expect(await both()).toHaveProperty('result')
  })

  it('reads what no gateway knew before', async () => {
    const stage = await warm()
    expect(sentFor(stage).filter((line) => line === `${groupOfA}: request eth_getProof`)).not.toEqual([])
  })
})

describe('after an outage', () => {
  /** The numbers at which `latest` is told of each account, second by second; undefined where it is not. */
  async function latestOf(stage: Stage, seconds: number): Promise<Record<Hex, (number | undefined)[]>> {
    const told: Record<Hex, (number | undefined)[]> = Object.fromEntries(stage.all.map((account) => [account, []]))
    for (let count = 0; count < seconds; count += 1) {
      for (const account of stage.all) {
        const outcome = await stage.settled(stage.ask('eth_getBalance', [account, 'latest']))
        told[account]?.push('result' in outcome ? Number(outcome.result) : undefined)
      }
      await stage.clock.elapse(1 * second)
    }
    return told
  }

  it.each([
    ['of all', 'account '],
    ['of one', groupOfA],
  ])('%s, the latest value is a new one or none, and never older than one that was told', async (_, lost) => {
    const stage = await warm({ accounts: 3, settings: { coldSpread: 3 * minute } })
    const { chain, clock, gateways } = stage
    for (const account of stage.all) await stage.settled(stage.ask('eth_getBalance', [account, 'latest']))
    await clock.elapse(10 * minute)
    // They come back within three minutes, each when it likes: with a gap of up to fifteen blocks.
    gateways.loseBranches(lost)
    const before = chain.head.number
    const told = await latestOf(stage, 6 * 60)
    for (const account of stage.all) {
      const numbers = (told[account] ?? []).filter((number) => number !== undefined)
      expect(numbers.length, account).toBeGreaterThan(0)
      expect(Math.min(...numbers), account).toBeGreaterThanOrEqual(before - 4)
      expect(numbers, account).toEqual(numbers.toSorted((one, other) => one - other))
    }
  })
})
