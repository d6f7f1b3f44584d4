/** Heads that are away: when they are asked for again, and what is found out once they are there. */
import { describe, expect, it } from 'vitest'
import { minute, second } from '../runtime.ts'
import type { Fault } from './testing/gateways.ts'
import { accountOf, type Stage, type StageOptions, setStage } from './testing/stage.ts'

const a = accountOf(0)
const hexOf = (number: number) => `0x${number.toString(16)}`
const rising = (number: number) => new Map([[a, { balance: BigInt(number), nonce: BigInt(number) }]])

/** One account, watched for some minutes; asked for its nonce, three followers tell of heads. */
async function warm(options: StageOptions = {}): Promise<Stage> {
  const stage = await setStage({ settings: { coldSpread: second }, ...options })
  stage.run(rising)
  await stage.settled(stage.ask('eth_getBalance', [a, 'latest']))
  await stage.clock.elapse(4 * minute)
  await stage.settled(stage.ask('eth_getTransactionCount', [a, 'latest']))
  return stage
}

function setFault({ gateways }: Stage, fault: Fault, indices: readonly number[] = [0, 1, 2], chain = 1): void {
  for (const index of indices) gateways.faults.set(`heads ${index} ${chain}`, fault)
}

/** When that follower's heads were asked for since, in milliseconds after `since`. */
function attempts({ gateways }: Stage, index: number, since: number): readonly number[] {
  return gateways.asked
    .filter(({ group, what, at }) => group === `heads ${index} 1` && what === 'follow' && at >= since)
    .map(({ at }) => at - since)
}

describe('heads of which none could be followed for long', () => {
  async function afterOutage(): Promise<Stage> {
    const stage = await warm()
    setFault(stage, { isGone: true })
    stage.gateways.loseBranches('heads')
    await stage.clock.elapse(30 * minute)
    return stage
  }

  it('come back within half a minute, and together', async () => {
    const stage = await afterOutage()
    const since = stage.clock.now()
    setFault(stage, {})
    await stage.clock.elapse(31 * second)
    const [first, ...others] = [0, 1, 2].map((index) => attempts(stage, index, since)[0])
    expect(first).toBeGreaterThan(0)
    expect(others).toEqual([first, first])
    const { number } = stage.chain.head
    const { verified } = stage.accounts.status.counts
    expect(await stage.settled(stage.ask('eth_getTransactionCount', [a, hexOf(number)]))).toEqual({
      result: hexOf(number),
    })
    expect(stage.accounts.status.counts.verified).toBe(verified + 1)
  })

  it('and of which one comes back alone: the others are tried then, and not with each head', async () => {
    const stage = await afterOutage()
    const since = stage.clock.now()
    setFault(stage, {}, [0])
    await stage.clock.elapse(10 * minute)
    const [back] = attempts(stage, 0, since)
    const others = attempts(stage, 1, since)
    expect(attempts(stage, 0, since)).toHaveLength(1)
    const [again = 0, next = 0] = others.slice(others.indexOf(back ?? 0))
    expect(again).toBe(back)
    expect(next - again).toBeLessThanOrEqual(5 * second)
    // Half a minute at most from one to the next, a quarter in the mean; of fifty heads each would be three.
    expect(others.length).toBeGreaterThan(20)
    expect(others.length).toBeLessThan(70)
  })

  it('and of which all others are gone for good are told by the one that is left', async () => {
    const stage = await warm()
    setFault(stage, { isNone: true }, [1, 2])
    for (const index of [1, 2]) stage.gateways.loseBranches(`heads ${index}`)
    await stage.clock.elapse(5 * minute)
    const newest = await stage.settled(stage.ask('eth_blockNumber'))
    expect(stage.chain.head.number - Number((newest as { readonly result: string }).result)).toBeLessThan(3)
  })

  it('are not asked for any more once nothing is watched', async () => {
    const stage = await afterOutage()
    stage.accounts.stop()
    const since = stage.clock.now() + 1
    setFault(stage, {})
    await stage.clock.elapse(10 * minute)
    expect([0, 1, 2].flatMap((index) => attempts(stage, index, since))).toEqual([])
  })
})

describe('the time from block to block', () => {
  const chainId = 31337

  /** Of all watches of accounts that were begun since. */
  function strides({ gateways }: Stage, from = 0): readonly number[] {
    return gateways.asked
      .slice(from)
      .filter(({ method, what }) => method === 'nightjar_watch' && what === 'follow')
      .map(({ params }) => (params as readonly [{ readonly stride: number }])[0].stride)
  }

  it('is measured once there are heads, by one of them, and accounts take its grid up', async () => {
    const stage = await setStage({ accounts: 2, chainId, blockTime: 2, settings: { coldSpread: minute } })
    setFault(stage, { isGone: true }, [0, 1, 2], chainId)
    stage.run(rising)
    for (const account of stage.all) void stage.ask('eth_getBalance', [account, 'latest']).catch(() => undefined)
    await stage.clock.elapse(3 * minute)
    // Nobody knows better: a slot of twelve seconds is one block.
    expect(new Set(strides(stage))).toEqual(new Set([1]))
    const from = stage.gateways.asked.length
    const { number } = stage.chain.head
    setFault(stage, {}, [0, 1, 2], chainId)
    await stage.clock.elapse(3 * minute)
    const early = stage.gateways.asked
      .slice(from)
      .filter(
        ({ method, params }) => method === 'eth_getBlockByNumber' && Number((params as [string])[0]) < number - 50,
      )
    expect(early).toHaveLength(1)
    expect(strides(stage, from).slice(-2)).toEqual([6, 6])
    const newest = await stage.settled(stage.ask('eth_blockNumber'))
    expect(Number((newest as { readonly result: string }).result) % 6).toBe(0)
    expect(stage.accounts.status.cold).toBe(0)
  })

  it('is not waited for where there is but one block', async () => {
    const stage = await setStage({ chainId, height: 0, settings: { coldSpread: second } })
    void stage.ask('eth_getBalance', [a, 'latest']).catch(() => undefined)
    await stage.clock.elapse(2 * second)
    expect(strides(stage)).toEqual([1])
  })
})
