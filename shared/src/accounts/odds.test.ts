/** Gateways that say nothing false and yet would hold a wallet up: by old blocks, by ending, by refusing. */
import { describe, expect, it, test } from 'vitest'
import { hour, minute, second } from '../runtime.ts'
import { FakeClock } from '../testing/index.ts'
import { defaultSettings } from './context.ts'
import { accountOf, balancesCall, type Stage, setStage } from './testing/stage.ts'
import { Turns } from './turn.ts'

const [a, b, c] = [accountOf(0), accountOf(1), accountOf(2)]

/** Watched, each with the number of the block as balance and nonce. */
async function warm(accounts: number): Promise<Stage> {
  const stage = await setStage({ accounts })
  stage.run((number) => new Map(stage.all.map((each) => [each, { balance: BigInt(number), nonce: BigInt(number) }])))
  for (const account of stage.all) await stage.settled(stage.ask('eth_getBalance', [account, 'latest']))
  await stage.clock.elapse(defaultSettings.coldSpread + 5 * minute)
  return stage
}

async function numberOf({ ask, settled }: Stage, method: string, params: readonly string[] = []): Promise<number> {
  return Number(((await settled(ask(method, params))) as { readonly result: string }).result)
}

/** All that were asked for in the groups of accounts since. */
function followed({ gateways }: Stage, account: string, from: number): number {
  return gateways.asked.slice(from).filter(({ group, what }) => what === 'follow' && group === `account ${account}`)
    .length
}

describe('a gateway that is far behind', () => {
  it('is not waited for: neither the newest block nor another account’s nonce goes back or stands still', async () => {
    const stage = await warm(2)
    const { clock, chain, gateways } = stage
    gateways.faults.set(`account ${b}`, { lag: 60 })
    gateways.loseBranches(`account ${b}`)
    let [told, nonce] = [0, 0]
    for (let each = 0; each < 480; each++) {
      const number = await numberOf(stage, 'eth_blockNumber')
      const count = await numberOf(stage, 'eth_getTransactionCount', [a, 'latest'])
      const balance = await numberOf(stage, 'eth_getBalance', [a, 'latest'])
      expect(number).toBeGreaterThanOrEqual(told)
      expect(count).toBeGreaterThanOrEqual(nonce)
      ;[told, nonce] = [number, count]
      expect(chain.head.number - Math.min(number, count, balance)).toBeLessThan(6)
      await clock.elapse(5 * second)
    }
    expect(stage.accounts.status).toMatchObject({ cold: 1, lies: [] })
  })
})

it('a gateway that falls behind, though it says something in each slot, is asked again as one that is silent', async () => {
  const stage = await warm(2)
  const from = stage.gateways.asked.length
  stage.gateways.faults.set(`account ${b}`, { lag: 60 })
  await stage.clock.elapse(3 * defaultSettings.coldSpread)
  expect(followed(stage, b, from)).toBeGreaterThan(1)
  expect(stage.lies).toEqual([])
})

describe('a gateway that ends a watch as if it had told all', () => {
  it('is asked again like after a loss', async () => {
    const stage = await warm(2)
    const from = stage.gateways.asked.length
    stage.gateways.loseBranches(`account ${b}`, 'done')
    await stage.clock.elapse(2 * defaultSettings.coldSpread)
    expect(followed(stage, b, from)).toBeGreaterThan(0)
    expect(stage.accounts.status.cold).toBe(0)
  })

  it('of heads is asked again too', async () => {
    const stage = await warm(1)
    const from = stage.gateways.asked.length
    for (const index of [0, 1]) stage.gateways.loseBranches(`heads ${index} 1`, 'done')
    await stage.clock.elapse(20 * minute)
    const again = stage.gateways.asked
      .slice(from)
      .filter(({ group, what }) => what === 'follow' && group.startsWith('heads'))
    expect(new Set(again.map(({ group }) => group)).size).toBeGreaterThanOrEqual(2)
    expect(stage.chain.head.number - (await numberOf(stage, 'eth_blockNumber'))).toBeLessThan(4)
  })
})

test('accounts whose gateways refuse to watch are asked for at times of their own: the call is answered in the end', async () => {
  const stage = await setStage({ accounts: 3 })
  const { ask, clock, gateways, settled } = stage
  stage.run()
  const follow = gateways.follow.bind(gateways)
  gateways.follow = async (order, handler) => {
    const following = await follow(order, handler)
    if ([b, c].some((account) => order.group === `account ${account}`))
      queueMicrotask(() => gateways.refuse(order.group))
    return following
  }
  for (const account of stage.all) await settled(ask('eth_getBalance', [account, 'latest']))
  await clock.elapse(3 * hour)
  const call = balancesCall(stage.all, 'latest')
  const answers: unknown[] = []
  for (let each = 0; each < 4; each++) {
    answers.push(await settled(ask(call.method, call.params as never)))
    await clock.elapse(20 * minute)
  }
  expect(answers[0]).toMatchObject({ code: 'still-apart' })
  expect(answers.at(-1)).toHaveProperty('result')
})

test('one account that nothing is known of is not asked for beside another that the user is at', async () => {
  const stage = await setStage({ accounts: 2 })
  const { ask, clock, gateways, settled } = stage
  stage.run()
  await settled(ask('eth_getBalance', [a, 'latest']))
  await clock.elapse(defaultSettings.coldSpread + 5 * minute)
  const from = gateways.asked.length
  const token = { to: `0x${'77'.repeat(20)}`, data: `0x70a08231${a.slice(2).padStart(64, '0')}` }
  for (let each = 0; each < 6; each++) {
    await settled(ask('eth_call', [token, 'latest']))
    const block = `0x${(await numberOf(stage, 'eth_blockNumber')).toString(16)}`
    const call = balancesCall([a, b], block)
    await settled(ask(call.method, call.params as never))
    await clock.elapse(5 * second)
  }
  const asked = gateways.asked.slice(from).filter(({ group }) => group === `account ${b}`)
  expect(asked.filter(({ what }) => what === 'request')).toEqual([])
})

test('a clock that is set does not change whose turn it is', () => {
  const clock = new FakeClock()
  const turns = new Turns(clock)
  expect(turns.pauseOf('site', a)).toBe(0)
  clock.set(-24 * hour)
  expect(turns.pauseOf('site', b)).toBe(10 * second)
})
