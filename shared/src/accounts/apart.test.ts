/** Ten accounts over hours, as each of their gateways and all of them together see them. */
import { expect, it } from 'vitest'
import { hour, minute, second } from '../runtime.ts'
import { balancesCall, type Stage, setStage, site } from './testing/stage.ts'

/** MetaMask with its window open for `duration`: the newest block, and the balances of all accounts at it. */
async function useWallet({ accounts, all, clock, ask, own }: Stage, duration: number): Promise<void> {
  const end = clock.now() + duration
  while (clock.now() < end) {
    const poll = async () => {
      const newest = await ask('eth_blockNumber')
      const block = 'result' in newest ? (newest.result as string) : '0x1'
      await accounts.request({ site, chain: 1, call: balancesCall(all, block), own })
      await ask('eth_getBalance', [all[0] as string, block])
    }
    poll().catch(() => undefined)
    await clock.elapse(15 * second)
  }
}

it('no group ever holds two of them, and they neither come nor go together', async () => {
  const starts: number[][] = []
  const sent: string[] = []
  for (let seed = 1; seed <= 3; seed++) {
    const stage = await setStage({ accounts: 10, seed })
    stage.run()
    for (let session = 0; session < 4; session++) {
      await useWallet(stage, 8 * minute)
      await stage.clock.elapse(22 * minute)
    }
    const watches = stage.gateways.asked.filter(({ method }) => method === 'nightjar_watch')
    starts.push(watches.filter(({ what }) => what === 'follow').map(({ at }) => at))
    expect(watches.some(({ what }) => what === 'stop')).toBe(false)
    const [firstAsked] = stage.gateways.asked
    expect(stage.clock.now() - (firstAsked?.at ?? 0)).toBeGreaterThanOrEqual(2 * hour - minute)
    const named = new Map<string, Set<string>>()
    for (const { group, params } of stage.gateways.asked) {
      const text = JSON.stringify(params)
      const accounts = named.get(group) ?? new Set()
      named.set(group, accounts)
      for (const account of stage.all) if (text.includes(account.slice(2))) accounts.add(account)
    }
    for (const [group, accounts] of named) {
      const own = stage.all.filter((account) => group === `account ${account}`)
      expect([...accounts], group).toEqual(own)
    }
    for (const { group, what, method } of stage.gateways.asked) {
      // Beyond the first value nothing is sent that an account's poll could be told by.
      const isFirst = group === `account ${stage.all[0]}`
      if (what === 'request' && group.startsWith('account') && !isFirst) sent.push(method)
    }
    stage.accounts.stop()
  }
  expect(starts.map((times) => times.length)).toEqual([10, 10, 10])
  // Of two that begin within the time that they have, how often it is the same second by chance.
  expect(together(starts)).toBeLessThan(0.01)
  expect(sent.length).toBeLessThan(3 * 9 * 1.5)
}, 60_000)

/** The share of pairs that are within a second of each other. */
function together(sessions: readonly (readonly number[])[]): number {
  let pairs = 0
  let close = 0
  for (const times of sessions) {
    for (const [index, one] of times.entries()) {
      for (const other of times.slice(index + 1)) {
        pairs += 1
        if (Math.abs(one - other) < second / 2) close += 1
      }
    }
  }
  return close / pairs
}
