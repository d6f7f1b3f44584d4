/** A nonce that was told as verified is taken back by no gateway's word, only by the chain. */
import { describe, expect, it } from 'vitest'
import type { Json } from '../rpc/index.ts'
import { minute, second } from '../runtime.ts'
import { Nonces } from './nonces.ts'
import type { Fault } from './testing/gateways.ts'
import { accountOf, type Stage, setStage } from './testing/stage.ts'

const a = accountOf(0)
const hexOf = (number: number) => `0x${number.toString(16)}`
const says =
  (nonce: Json): NonNullable<Fault['forge']> =>
  (value, method) =>
    method === 'eth_getTransactionCount' ? { ...value, value: nonce } : value

async function nonceAt({ ask, settled }: Stage, block: Json): Promise<Json> {
  return ((await settled(ask('eth_getTransactionCount', [a, block]))) as { readonly result: Json }).result
}

/** The account's nonce is seven, and was told as that. */
async function toldSeven(): Promise<Stage> {
  const stage = await setStage({ settings: { coldSpread: second } })
  const { accounts, chain, clock } = stage
  await chain.mine(new Map([[a, { balance: 100n, nonce: 7n }]]))
  stage.run()
  await nonceAt(stage, 'latest')
  await clock.elapse(4 * minute)
  // A third follower comes with the first nonce that the watch can say.
  await nonceAt(stage, 'latest')
  await clock.elapse(minute)
  const { verified } = accounts.status.counts
  expect(await nonceAt(stage, 'latest')).toBe('0x7')
  expect(accounts.status.counts.verified).toBe(verified + 1)
  return stage
}

describe('a nonce that was told as verified', () => {
  const faults: readonly [string, Fault][] = [
    ['is silent, and says an old one when it is asked', { isSilent: true, forge: says('0x3') }],
    ['is behind', { isSilent: true, lag: 60 }],
    ['proves nothing any more', { hasNoProof: true, forge: (value) => ({ ...value, nonce: '0x3', value: '0x3' }) }],
  ]
  it.each(faults)('is told on where its gateway %s', async (_, fault) => {
    const stage = await toldSeven()
    stage.gateways.faults.set(`account ${a}`, fault)
    const told = new Set<Json>()
    for (let poll = 0; poll < 30; poll++) {
      await stage.clock.elapse(10 * second)
      told.add(await nonceAt(stage, 'latest'))
    }
    expect([...told]).toEqual(['0x7'])
    expect(stage.lies).toEqual([])
  })

  it('is the least at each later block that is named, too, and not at an earlier one', async () => {
    const stage = await toldSeven()
    await stage.clock.elapse(2 * minute)
    const { number } = stage.chain.head
    stage.gateways.faults.set(`account ${a}`, { isSilent: true, hasNoProof: true, forge: says('0x3') })
    await stage.clock.elapse(2 * minute)
    expect(await nonceAt(stage, hexOf(number + 5))).toBe('0x7')
    expect(await nonceAt(stage, hexOf(900))).toBe('0x3')
  })

  it('goes up with what its gateway says', async () => {
    const stage = await toldSeven()
    stage.gateways.faults.set(`account ${a}`, { isSilent: true, forge: says('0x9') })
    await stage.clock.elapse(2 * minute)
    expect(await nonceAt(stage, 'latest')).toBe('0x9')
  })

  it('goes back with the chain', async () => {
    const stage = await toldSeven()
    const { chain, clock, gateways } = stage
    await chain.reorganise(chain.head.number - 1000, new Map([[a, { balance: 100n, nonce: 4n }]]))
    gateways.announce()
    await clock.elapse(minute)
    gateways.faults.set(`account ${a}`, { isSilent: true })
    await clock.elapse(2 * minute)
    expect(await nonceAt(stage, 'latest')).toBe('0x4')
  })
})

describe('the least that a nonce is', () => {
  const state = (number: number, nonce: number) => ({ number, hash: `hash ${number}`, nonce: hexOf(nonce) })

  it('is the highest that was told as verified, from the first block on that showed it', () => {
    const nonces = new Nonces()
    expect(nonces.leastAt(a, 9)).toBe(0)
    for (const told of [state(4, 6), state(6, 7), state(8, 7), state(5, 6)]) nonces.toldVerified(a, told)
    expect([5, 6, 9].map((block) => nonces.leastAt(a, block))).toEqual([0, 7, 7])
    nonces.told(a, 9)
    expect(nonces.leastAt(a, 9)).toBe(7)
  })

  it('is forgotten where its block is another one now, or a later one shows less', () => {
    const nonces = new Nonces()
    nonces.toldVerified(a, state(6, 7))
    nonces.onReplaced(6, 'hash 6')
    nonces.onReplaced(5, 'another')
    expect(nonces.leastAt(a, 9)).toBe(7)
    nonces.onReplaced(6, 'another')
    expect(nonces.leastAt(a, 9)).toBe(0)
    nonces.toldVerified(a, state(6, 7))
    nonces.toldVerified(a, state(8, 5))
    expect(nonces.leastAt(a, 9)).toBe(5)
  })

  it('is remembered of 256 accounts', () => {
    const nonces = new Nonces()
    for (let each = 0; each <= 256; each++) nonces.toldVerified(`0x${each}`, state(6, 7))
    expect([0, 1, 256].map((each) => nonces.leastAt(`0x${each}`, 9))).toEqual([0, 7, 7])
  })
})
