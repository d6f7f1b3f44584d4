import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Hex } from '../proofs/index.ts'
import type { Json, Outcome } from '../rpc/index.ts'
import { minute, second } from '../runtime.ts'
import { Chain } from './testing/chain.ts'
import type { Fault } from './testing/gateways.ts'
import { accountOf, type Stage, setStage } from './testing/stage.ts'

const a = accountOf(0)
const groupOfA = `account ${a}`
const hexOf = (number: number) => `0x${number.toString(16)}`
const rising = (number: number) => new Map([[a, { balance: BigInt(number), nonce: BigInt(number) }]])

/** One account, watched for some minutes. */
async function warm(fault: Fault = {}, groups: readonly string[] = [groupOfA]): Promise<Stage> {
  const stage = await setStage()
  for (const group of groups) stage.gateways.faults.set(group, fault)
  stage.run(rising)
  await stage.settled(stage.ask('eth_getBalance', [a, 'latest']))
  await stage.clock.elapse(4 * minute)
  return stage
}

async function newestOf({ ask, settled }: Stage): Promise<number> {
  return Number(((await settled(ask('eth_blockNumber'))) as { readonly result: string }).result)
}

async function balanceAt({ ask, settled }: Stage, block: number): Promise<Outcome | Error> {
  return settled(ask('eth_getBalance', [a, hexOf(block)]))
}

describe('an account’s state', () => {
  it('is verified where two gateways agree on the block', async () => {
    const stage = await warm()
    const block = await newestOf(stage)
    const before = stage.accounts.status.counts
    expect(await balanceAt(stage, block)).toEqual({ result: hexOf(block) })
    expect(stage.accounts.status.counts).toEqual({ ...before, verified: before.verified + 1 })
  })

  const forgeries: readonly [
    string,
    (value: { readonly [name: string]: Json }) => { readonly [name: string]: Json },
  ][] = [
    ['a balance', (value) => ({ ...value, balance: '0xffff' })],
    ['a nonce', (value) => ({ ...value, nonce: '0xffff' })],
    ['a code', (value) => ({ ...value, codeHash: `0x${'12'.repeat(32)}` })],
    ['a proof', (value) => ({ ...value, proof: [] })],
  ]
  it.each(forgeries)('with %s that is a lie is not used; its gateway is reported and left', async (_what, lie) => {
    const forge: Fault['forge'] = (value, method) => (method === 'nightjar_watch' ? lie(value) : value)
    const stage = await warm({ forge })
    expect(stage.lies).toHaveLength(1)
    expect(stage.lies[0]).toMatchObject({
      group: groupOfA,
      gateway: `${groupOfA} #0`,
      chain: 1,
      evidence: expect.anything(),
    })
    expect(stage.gateways.gatewayOf(groupOfA)).toBe(`${groupOfA} #1`)
    const block = await newestOf(stage)
    expect(stage.chain.head.number - block).toBeLessThan(3)
    expect(await balanceAt(stage, block)).toEqual({ result: hexOf(block) })
    expect(stage.accounts.status.counts.refuted).toBe(1)
    expect(stage.accounts.status.lies).toEqual(stage.lies)
  })

  it('that is a lie, again and again before the first is found out, has its gateway left once', async () => {
    const settings = { freshness: second, coldSpread: second }
    const stage = await setStage({ chainId: 31337, blockTime: 1, settings })
    stage.gateways.faults.set(groupOfA, {
      forge: (value, method) => (method === 'nightjar_watch' ? { ...value, balance: '0xffff' } : value),
    })
    // What it says of three blocks is told before anybody can check it.
    for (const index of [0, 1, 2]) stage.gateways.faults.set(`heads ${index} 31337`, { lag: 3 })
    stage.run(rising)
    await stage.settled(stage.ask('eth_getBalance', [a, 'latest']))
    await stage.clock.elapse(30 * second)
    expect(stage.lies).toHaveLength(1)
    expect(stage.accounts.status.counts.refuted).toBe(1)
    expect(stage.accounts.status.cold).toBe(0)
  })

  it('is proved by the next gateway where the first lied when it was asked', async () => {
    const stage = await warm()
    const old = stage.chain.head.number - 80
    const forge: Fault['forge'] = ({ value }, method) => ({
      value: method === 'eth_getProof' ? { ...(value as object), balance: '0xffff' } : (value ?? null),
    })
    stage.gateways.faults.set(groupOfA, { forge })
    expect(await balanceAt(stage, old)).toEqual({ result: '0x1' })
    expect(stage.lies).toMatchObject([{ group: groupOfA, gateway: `${groupOfA} #0`, what: 'account' }])
    expect(stage.accounts.status.counts.refuted).toBe(1)
  })

  it('is not shown where nobody has a right one', async () => {
    const stage = await warm()
    const request = stage.gateways.request.bind(stage.gateways)
    stage.gateways.request = async (order, onAnswered) => {
      const outcome = await request(order, onAnswered)
      const isProof = order.call.method === 'eth_getProof' && 'result' in outcome
      return isProof ? { result: { ...(outcome.result as object), nonce: '0xff' } } : outcome
    }
    expect(await balanceAt(stage, stage.chain.head.number - 80)).toMatchObject({ code: 'answer-refuted' })
    expect(stage.accounts.status.counts.refuted).toBe(2)
  })

  it('of code is checked against its hash', async () => {
    const stage = await warm()
    const block = await newestOf(stage)
    expect(await stage.settled(stage.ask('eth_getCode', [a, hexOf(block)]))).toEqual({ result: '0x' })
    expect(stage.accounts.status.counts.verified).toBeGreaterThan(0)
  })

  it('is used but not called verified without a proof', async () => {
    const stage = await warm({ hasNoProof: true })
    const block = await newestOf(stage)
    expect(await balanceAt(stage, block)).toEqual({ result: hexOf(block) })
    expect(stage.accounts.status.counts.verified).toBe(0)
    expect(stage.lies).toEqual([])
  })

  it('is verified by a third where one of two is gone, or says another block', async () => {
    const otherBlock: Fault = { forge: (value) => ({ ...value, ...(value.hash ? { extraData: '0x99' } : {}) }) }
    for (const fault of [{ isGone: true }, otherBlock, { lag: 50 }]) {
      const stage = await warm(fault, ['heads 1 1'])
      const block = await newestOf(stage)
      expect(await balanceAt(stage, block)).toEqual({ result: hexOf(block) })
      expect(stage.accounts.status.counts.verified).toBeGreaterThan(0)
    }
  })

  it('of a chain that others do not have is not used, and reported', async () => {
    const other = await setStage()
    await other.chain.reorganise(5, new Map([[a, { balance: 999_999n, nonce: 9n }]]))
    const stage = await setStage()
    const forge: Fault['forge'] = (value, method) =>
      method === 'nightjar_watch' ? { ...value, hash: other.chain.head.hash, balance: '0xf423f', proof: null } : value
    stage.gateways.faults.set(groupOfA, { forge })
    stage.run(rising)
    await stage.settled(stage.ask('eth_getBalance', [a, 'latest']))
    await stage.clock.elapse(2 * minute)
    expect(stage.disagreements.length).toBeGreaterThan(0)
    expect(stage.disagreements[0]).toMatchObject({ what: 'watch', gateways: [`${groupOfA} #0`] })
    const block = await newestOf(stage)
    expect(await balanceAt(stage, block)).toEqual({ result: hexOf(block === 1000 ? 1 : block) })
  })

  it('that is a nonce, asked for when something is to be sent, takes three that agree', async () => {
    const stage = await warm()
    const block = await newestOf(stage)
    expect(stage.gateways.asked.some(({ group }) => group === 'heads 2 1')).toBe(false)
    const nonce = await stage.settled(stage.ask('eth_getTransactionCount', [a, hexOf(block)]))
    expect(nonce).toEqual({ result: hexOf(block) })
    expect(stage.gateways.asked.some(({ group }) => group === 'heads 2 1')).toBe(true)
    expect(stage.accounts.status.counts.verified).toBe(1)
  })

  it('is no lie where its gateway was the first to hear of a reorganisation', async () => {
    const stage = await setStage({ accounts: 2, settings: { coldSpread: 0 } })
    await stage.chain.mine()
    await stage.settled(stage.ask('eth_getBalance', [a, '0x3e9']))
    await stage.clock.elapse(10 * second)
    const old = stage.chain.head.header
    const reorganised = stage.clock.now()
    const forge: Fault['forge'] = ({ value }, method) => ({
      // Gateways tell of the heads that they have seen, two seconds ago maybe, and ask their provider for all else.
      value: method === 'eth_getBlockByNumber' && stage.clock.now() < reorganised + 2 * second ? old : (value ?? null),
    })
    stage.gateways.faults.set(`account ${accountOf(1)}`, { forge })
    // Those who follow heads are told three seconds later.
    await stage.chain.reorganise(1, new Map([[accountOf(1), { balance: 7n, nonce: 7n }]]), 1)
    stage.clock.after(3 * second, () => stage.gateways.announce())
    expect(await stage.settled(stage.ask('eth_getBalance', [accountOf(1), '0x3e9']))).toEqual({ result: '0x7' })
    expect(stage.lies).toEqual([])
    expect(stage.accounts.status.counts).toMatchObject({ refuted: 0, unverified: 0 })
  })

  it('is no lie where its gateway read it just after a reorganisation, and the block before', async () => {
    const stage = await setStage({ settings: { coldSpread: 0 } })
    await stage.settled(stage.ask('eth_getBalance', [a, 'latest']))
    await stage.clock.elapse(minute)
    const old = await stage.chain.mine()
    let pushed = 0
    const forge: Fault['forge'] = (value, method) => {
      if (method !== 'nightjar_watch' || pushed > 0) return value
      pushed += 1
      return { ...value, hash: old.hash }
    }
    stage.gateways.faults.set(groupOfA, { forge })
    stage.gateways.announce()
    await stage.chain.reorganise(1, new Map([[a, { balance: 7n, nonce: 7n }]]), 1)
    while (pushed === 0) await stage.clock.elapse(second)
    await stage.clock.elapse(3 * second)
    // Those who follow heads are told by now.
    stage.gateways.announce()
    await stage.clock.elapse(20 * second)
    expect(stage.lies).toEqual([])
    expect(await balanceAt(stage, old.number)).toEqual({ result: '0x7' })
  })

  it('of code is checked at the block that it is known of: the latest may have changed since', async () => {
    const codes = ['0xef0100aa', '0xef0100bb'] as const
    const held = (code: Hex) => new Map([[a, { balance: 1n, nonce: 1n, code }]])
    const stage = await setStage({ settings: { coldSpread: 0 } })
    await stage.chain.mine(held(codes[0]))
    await stage.settled(stage.ask('eth_getCode', [a, 'latest']))
    await stage.clock.elapse(minute)
    // Its watch has not heard of it.
    await stage.chain.mine(held(codes[1]))
    expect(await stage.settled(stage.ask('eth_getCode', [a, 'latest']))).toEqual({ result: codes[0] })
    expect(stage.lies).toEqual([])
    const forge: Fault['forge'] = ({ value }, method) => ({
      value: method === 'eth_getCode' ? '0x60' : (value ?? null),
    })
    stage.gateways.faults.set(groupOfA, { forge })
    expect(await stage.settled(stage.ask('eth_getCode', [a, 'latest']))).toMatchObject({ code: 'answer-refuted' })
    expect(stage.lies).toMatchObject([{ what: 'code', gateway: `${groupOfA} #0` }])
  })

  it('goes back with the chain and no further, and is the new chain’s', async () => {
    const stage = await warm()
    const before = await newestOf(stage)
    await stage.chain.reorganise(3, new Map([[a, { balance: 5n, nonce: 5n }]]))
    stage.gateways.announce()
    await stage.clock.elapse(second)
    const after = await newestOf(stage)
    expect(after).toBeGreaterThanOrEqual(before - 3)
    const expected = stage.chain.blocks[after]?.holdings.get(a)?.balance as bigint
    expect(await balanceAt(stage, after)).toEqual({ result: `0x${expected.toString(16)}` })
    // A block that was replaced is the new one, whoever answers.
    expect(await balanceAt(stage, before)).toEqual({ result: '0x5' })
    await stage.clock.elapse(1 * minute)
    const later = await newestOf(stage)
    expect(later).toBeGreaterThan(before)
    expect(await balanceAt(stage, later)).toEqual({ result: hexOf(later) })
  })
})

describe('heads', () => {
  /** Tells of another chain, of which all headers are true to their hashes. */
  async function tellerOfAnother(balance: bigint): Promise<Fault['forge']> {
    const other = await Chain.start(new Map([[a, { balance, nonce: 0n }]]), 12, 1100)
    return (value, method) => {
      const told = (method === 'newHeads' ? value : value.value) as { readonly number?: string } | null
      const header = other.blocks[Number(told?.number)]?.header ?? {}
      return method === 'newHeads' ? header : { value: header }
    }
  }

  it('of which one tells of another chain are reported, and outvoted', async () => {
    const forge = await tellerOfAnother(7n)
    const stage = await warm(forge === undefined ? {} : { forge }, ['heads 1 1'])
    const block = await newestOf(stage)
    expect(await balanceAt(stage, block)).toEqual({ result: hexOf(block) })
    expect(stage.accounts.status.counts.verified).toBeGreaterThan(0)
    expect(stage.disagreements[0]).toMatchObject({ chain: 1, what: 'block', gateways: ['heads 1 1 #0'] })
    expect(stage.lies).toEqual([])
  })

  it('that all tell of different chains leave nothing to be answered', async () => {
    const stage = await setStage()
    for (const index of [1, 2]) {
      const forge = await tellerOfAnother(BigInt(index))
      if (forge !== undefined) stage.gateways.faults.set(`heads ${index} 1`, { forge })
    }
    stage.run(rising)
    await stage.settled(stage.ask('eth_getBalance', [a, 'latest']))
    await stage.clock.elapse(2 * minute)
    expect(await balanceAt(stage, stage.chain.head.number - 1)).toMatchObject({ code: 'answer-refuted' })
    expect(stage.disagreements.some(({ what }) => what === 'block')).toBe(true)
    expect(stage.accounts.status.counts.verified).toBe(0)
  })

  it('of a chain that is shorter for a while take back what they said of its last blocks', async () => {
    const stage = await warm()
    const before = await newestOf(stage)
    await stage.chain.reorganise(4, new Map([[a, { balance: 5n, nonce: 5n }]]), 1)
    stage.gateways.announce()
    await stage.clock.elapse(8 * second)
    for (let each = 0; each < 4; each++) await stage.chain.mine()
    stage.gateways.announce()
    await stage.clock.elapse(8 * second)
    const held = stage.chain.blocks[before]?.holdings.get(a)
    expect(held?.balance).not.toBe(BigInt(before))
    expect(await balanceAt(stage, before)).toEqual({ result: `0x${held?.balance.toString(16)}` })
  })
})

it('a reorganisation is found although it came in a gap, soon after another gap', async () => {
  const stage = await warm()
  const before = (await newestOf(stage)) - 1
  const gap = async () => {
    await stage.chain.mine()
    await stage.chain.mine()
    stage.gateways.announce()
    await stage.clock.elapse(second)
  }
  await gap()
  await stage.chain.reorganise(6, new Map([[a, { balance: 5n, nonce: 5n }]]), 7)
  await gap()
  await stage.clock.elapse(1 * minute)
  expect(stage.chain.blocks[before]?.holdings.get(a)?.balance).toBe(5n)
  expect(await balanceAt(stage, before)).toEqual({ result: '0x5' })
})

describe('whatever gateways do, an answer is the chain’s at that block', () => {
  const forge: Fault['forge'] = (value) => ({ ...value, balance: '0x1234567' })
  const faults = fc.constantFrom<Fault>({}, { forge }, { isSilent: true }, { lag: 3 }, { isGone: true })
  const step = fc.oneof(
    fc.record({
      kind: fc.constant('fault' as const),
      group: fc.constantFrom(groupOfA, `account ${accountOf(1)}`),
      fault: faults,
    }),
    fc.record({ kind: fc.constant('reorganise' as const), depth: fc.integer({ min: 1, max: 4 }) }),
    fc.record({ kind: fc.constant('lose' as const) }),
    fc.record({ kind: fc.constant('wait' as const), seconds: fc.integer({ min: 1, max: 90 }) }),
  )

  it('for any course of faults, losses and reorganisations', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer(), fc.array(step, { maxLength: 12 }), async (seed, steps) => {
        const stage = await setStage({ accounts: 2, seed, settings: { coldSpread: 5 * second } })
        const balances = (number: number) =>
          new Map(
            stage.all.map((account): [Hex, { balance: bigint; nonce: bigint }] => [
              account,
              { balance: BigInt(number), nonce: 0n },
            ]),
          )
        stage.run(balances)
        for (const each of steps) {
          if (each.kind === 'fault') stage.gateways.faults.set(each.group, each.fault)
          if (each.kind === 'lose') stage.gateways.loseBranches('account')
          if (each.kind === 'wait') await stage.clock.elapse(each.seconds * second)
          if (each.kind === 'reorganise') {
            await stage.chain.reorganise(each.depth, new Map([[a, { balance: BigInt(each.depth), nonce: 7n }]]))
            stage.gateways.announce()
            await stage.clock.elapse(10 * second)
          }
          const block = await newestOf(stage)
          for (const account of stage.all) {
            const result = await stage.settled(stage.ask('eth_getBalance', [account, hexOf(block)]))
            if (result instanceof Error || 'error' in result) continue
            const held = stage.chain.blocks[block]?.holdings.get(account)
            expect(result.result).toBe(`0x${held?.balance.toString(16)}`)
          }
        }
        stage.accounts.stop()
      }),
      { numRuns: 60 },
    )
  })
})
