/** What one gateway says alone, or against others: it is not believed, and does not keep the others from being believed. */
import { privateKeyToAccount } from 'viem/accounts'
import { describe, expect, it } from 'vitest'
import { NightjarError } from '../errors/index.ts'
import { type Json, type Outcome, packNodes, transactionHash } from '../rpc/index.ts'
import { day, minute, second } from '../runtime.ts'
import { Chain } from './testing/chain.ts'
import type { Fault } from './testing/gateways.ts'
import { accountOf, type Stage, type StageOptions, setStage, site } from './testing/stage.ts'

const a = accountOf(0)
const groupOfA = `account ${a}`
const hexOf = (number: number) => `0x${number.toString(16)}`
const rising = (number: number) => new Map([[a, { balance: BigInt(number), nonce: BigInt(number) }]])
type Faults = Readonly<Record<string, Fault>>

/** One account, watched for some minutes. */
async function warm(faults: Faults = {}, options: StageOptions = {}, operators: Readonly<Record<string, string>> = {}) {
  const stage = await setStage({ settings: { coldSpread: second }, ...options })
  for (const [group, fault] of Object.entries(faults)) stage.gateways.faults.set(group, fault)
  for (const [gateway, operator] of Object.entries(operators)) stage.gateways.operators.set(gateway, operator)
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

/** Tells of another chain, of which all headers are true to their hashes. */
async function tellerOfAnother(height: number): Promise<NonNullable<Fault['forge']>> {
  const other = await Chain.start(new Map([[a, { balance: 7n, nonce: 0n }]]), 12, height)
  return (value, method) => {
    const told = (method === 'newHeads' ? value : value.value) as { readonly number?: string } | null
    const header = other.blocks[Number(told?.number)]?.header ?? {}
    return method === 'newHeads' ? header : { value: header }
  }
}

describe('a block that one gateway alone has', () => {
  it('is not shown where others are there, though they do not answer', async () => {
    const stage = await warm({ 'heads 1 1': { isGone: true }, 'heads 2 1': { isGone: true } })
    const { number } = stage.chain.head
    expect(await balanceAt(stage, number - 1)).toMatchObject({ code: 'answer-unconfirmed' })
    expect(stage.accounts.status).toMatchObject({ cold: 1, lies: [], disagreements: [] })
    expect(stage.accounts.status.counts.verified).toBe(0)
  })

  it('is shown, and not called verified, where the network has no other operator', async () => {
    const stage = await warm({ 'heads 1 1': { isNone: true }, 'heads 2 1': { isNone: true } })
    const block = await newestOf(stage)
    expect(stage.chain.head.number - block).toBeLessThan(3)
    expect(await balanceAt(stage, block)).toEqual({ result: hexOf(block) })
    expect(stage.accounts.status).toMatchObject({ cold: 0, counts: { verified: 0, unverified: 2 } })
  })

  it('is waited for where the only other is behind', async () => {
    const stage = await warm({ 'heads 1 1': { lag: 1 }, 'heads 2 1': { isNone: true } }, { accounts: 6 })
    // Some of them are told of each block before the other can have it.
    for (const account of stage.all) void stage.ask('eth_getBalance', [account, 'latest']).catch(() => undefined)
    await stage.clock.elapse(4 * minute)
    const block = await newestOf(stage)
    expect(stage.chain.head.number - block).toBeLessThan(5)
    expect(await balanceAt(stage, block)).toEqual({ result: hexOf(block) })
    expect(stage.accounts.status).toMatchObject({ watched: 6, cold: 0, lies: [], disagreements: [] })
    expect(stage.accounts.status.counts.verified).toBeGreaterThan(0)
  })

  it('is not the newest, however far ahead it is', async () => {
    const far = await Chain.start(new Map(), 12, 1200)
    const forge: Fault['forge'] = (value, method) => (method === 'newHeads' ? far.head.header : value)
    const stage = await warm({ 'heads 0 1': { forge } }, { settings: { coldSpread: day } })
    const block = await newestOf(stage)
    expect(block).toBeLessThanOrEqual(stage.chain.head.number)
    expect(stage.chain.head.number - block).toBeLessThan(3)
  })

  it('is still alone where another gateway of the same operator has it', async () => {
    const same = { 'heads 0 1 #0': 'one', 'heads 1 1 #0': 'one' }
    const alone = await warm({ 'heads 2 1': { isGone: true } }, {}, same)
    expect(await balanceAt(alone, alone.chain.head.number - 1)).toMatchObject({ code: 'answer-unconfirmed' })
    expect(alone.accounts.status.counts.verified).toBe(0)
    const all = await warm({}, {}, { ...same, 'heads 2 1 #0': 'one' })
    expect(await balanceAt(all, all.chain.head.number - 80)).toMatchObject({ code: 'answer-unconfirmed' })
    const stage = await warm({}, {}, same)
    const block = await newestOf(stage)
    expect(await balanceAt(stage, block)).toEqual({ result: hexOf(block) })
    expect(stage.accounts.status.counts.verified).toBeGreaterThan(0)
  })
})

describe('one of those whose heads are followed', () => {
  it('that stays behind does not hold back the newest block, before there is any watch', async () => {
    const stage = await warm({ 'heads 1 1': { lag: 50 } }, { settings: { coldSpread: day } })
    expect(stage.accounts.status.cold).toBe(1)
    expect(stage.chain.head.number - (await newestOf(stage))).toBeLessThan(3)
  })

  it('that is outvoted is reported and left', async () => {
    const stage = await warm({ 'heads 1 1': { forge: await tellerOfAnother(1100) } })
    const [first] = stage.disagreements
    expect(first).toMatchObject({ what: 'block', gateways: ['heads 1 1 #0'] })
    expect(first?.outvoted).toEqual([{ group: 'heads 1 1', gateway: 'heads 1 1 #0' }])
    expect(stage.gateways.gatewayOf('heads 1 1')).toBe('heads 1 1 #1')
    expect(stage.lies).toEqual([])
  })

  it('that is outvoted is left though it does not answer when it is asked again', async () => {
    const stage = await setStage({ settings: { coldSpread: second } })
    stage.gateways.faults.set('heads 1 1', { forge: await tellerOfAnother(1100) })
    const request = stage.gateways.request.bind(stage.gateways)
    stage.gateways.request = async (order, onAnswered) => {
      if (order.group === 'heads 1 1') throw new NightjarError('timed-out')
      return request(order, onAnswered)
    }
    stage.run(rising)
    await stage.settled(stage.ask('eth_getBalance', [a, 'latest']))
    await stage.clock.elapse(2 * minute)
    expect(stage.gateways.gatewayOf('heads 1 1')).toBe('heads 1 1 #1')
  })

  it('that has not told of a reorganisation is asked again before it is accused', async () => {
    const stage = await warm()
    stage.gateways.faults.set('heads 1 1', { isSilent: true })
    await stage.chain.reorganise(1, new Map([[a, { balance: 5n, nonce: 5n }]]), 1)
    const { number } = stage.chain.head
    stage.gateways.announce()
    await stage.clock.elapse(minute)
    expect(await balanceAt(stage, number)).toEqual({ result: '0x5' })
    expect(stage.disagreements).toEqual([])
    expect(stage.gateways.gatewayOf('heads 1 1')).toBe('heads 1 1 #0')
  })
})

describe('a nonce, asked for when something is to be sent,', () => {
  const nonceAt = (stage: Stage, block: number) =>
    stage.settled(stage.ask('eth_getTransactionCount', [a, hexOf(block)]))

  it('is told and not called verified where two agree and a third says another block, which is left', async () => {
    const stage = await warm({ 'heads 2 1': { forge: await tellerOfAnother(1100) } })
    const block = await newestOf(stage)
    expect(await nonceAt(stage, block)).toEqual({ result: hexOf(block) })
    expect(stage.accounts.status.counts).toMatchObject({ verified: 0, refuted: 0 })
    await stage.clock.elapse(minute)
    expect(stage.disagreements).toMatchObject([{ what: 'block', gateways: ['heads 2 1 #0'] }])
    const later = await newestOf(stage)
    expect(await nonceAt(stage, later)).toEqual({ result: hexOf(later) })
    expect(stage.accounts.status.counts.verified).toBe(1)
  })

  it('is verified by three that are of different operators only', async () => {
    const stage = await warm({}, {}, { 'heads 0 1 #0': 'one', 'heads 2 1 #0': 'one' })
    const block = await newestOf(stage)
    expect(await nonceAt(stage, block)).toEqual({ result: hexOf(block) })
    expect(stage.accounts.status.counts.verified).toBe(0)
  })
})

it('a newest block that one gateway made up before anything was watched is not kept', async () => {
  const stage = await setStage({ settings: { coldSpread: second } })
  stage.gateways.faults.set(site, { forge: () => ({ value: '0xffffff' }) })
  expect(await newestOf(stage)).toBe(0xffffff)
  stage.gateways.faults.clear()
  stage.run(rising)
  await stage.settled(stage.ask('eth_getBalance', [a, 'latest']))
  await stage.clock.elapse(minute)
  expect(await newestOf(stage)).toBeLessThanOrEqual(stage.chain.head.number)
  expect(await newestOf(stage)).toBeGreaterThan(1000)
})

it('a receipt that is no answer to what was asked, when that is asked first, has its gateway named and left', async () => {
  const stage = await setStage()
  const signer = privateKeyToAccount(`0x${'11'.repeat(32)}`)
  const group = `account ${signer.address.toLowerCase()}`
  const fees = { gas: 21_000n, maxFeePerGas: 9n, maxPriorityFeePerGas: 1n } as const
  const raw = await signer.signTransaction({ type: 'eip1559', chainId: 1, nonce: 0, to: a, ...fees })
  const { hash: blockHash, number } = stage.chain.head
  const receipt = { transactionHash: blockHash, blockNumber: hexOf(number), blockHash, status: '0x1' }
  stage.gateways.receipts.set(transactionHash(raw), receipt)
  await stage.settled(stage.ask('eth_sendRawTransaction', [raw]))
  await stage.clock.elapse(10 * second)
  expect(stage.lies).toMatchObject([{ group, gateway: `${group} #0`, what: 'receipt' }])
  expect(stage.gateways.gatewayOf(group)).toBe(`${group} #1`)
})

it('a push that is true of another block is proved again before anybody is accused, and its account told', async () => {
  const stage = await warm()
  const { chain, gateways } = stage
  let pushed = 0
  const forge: Fault['forge'] = (value, method) => {
    if (method !== 'nightjar_watch' || pushed > 0) return value
    pushed = Number(value.number)
    // The provider's nodes were not of one mind: what was read was of an earlier block.
    return { ...value, ...before }
  }
  const { accountProof, balance, nonce, codeHash } = await chain.proof(
    a,
    chain.blocks.at(-9) as (typeof chain.blocks)[0],
  )
  const before = { proof: packNodes(accountProof as string[]), balance, nonce, codeHash } as {
    readonly [name: string]: Json
  }
  gateways.faults.set(groupOfA, { forge })
  await stage.clock.elapse(minute)
  expect(pushed).toBeGreaterThan(0)
  expect(stage.lies).toEqual([])
  const from = gateways.asked.length
  expect(await balanceAt(stage, pushed)).toEqual({ result: hexOf(pushed) })
  expect(gateways.asked.slice(from).filter(({ group }) => group === groupOfA)).toEqual([])
})

describe('a call that names nobody', () => {
  const call = ['eth_call', [{ to: accountOf(5), data: '0x12' }, '0x1']] as const

  it('is not called compared where one operator confirmed himself', async () => {
    const stage = await setStage()
    stage.gateways.operators.set(`${site} #0`, 'one').set(`${site} again #0`, 'one')
    expect(await stage.settled(stage.ask(...call))).toEqual({ result: '0x1' })
    expect(stage.accounts.status.counts).toMatchObject({ compared: 0, unverified: 1 })
    stage.gateways.operators.clear()
    await stage.settled(stage.ask(...call))
    expect(stage.accounts.status.counts).toMatchObject({ compared: 1, unverified: 1 })
  })

  it('is not called compared where nobody knows whose one of the gateways is', async () => {
    const stage = await setStage()
    for (const gateway of [`${site} #0`, `${site} again #0`]) {
      stage.gateways.operators.clear()
      stage.gateways.operators.set(gateway, undefined)
      await stage.settled(stage.ask(...call))
    }
    expect(stage.accounts.status.counts).toMatchObject({ compared: 0, unverified: 2 })
  })

  it('names both gateways where they contradict each other', async () => {
    const stage = await setStage()
    stage.gateways.answer = ({ group }) => ({ result: group })
    await stage.settled(stage.ask(...call))
    expect(stage.disagreements).toMatchObject([{ what: 'call', gateways: [`${site} #0`, `${site} again #0`] }])
  })
})

it('a freshness that is changed reaches running watches, at a time of its own', async () => {
  const settings = { freshness: 12 * second, coldSpread: 10 * minute }
  const stage = await setStage({ accounts: 2, settings })
  stage.run(rising)
  for (const account of stage.all) void stage.ask('eth_getBalance', [account, 'latest']).catch(() => undefined)
  await stage.clock.elapse(15 * minute)
  const from = stage.gateways.asked.length
  settings.freshness = minute
  await stage.clock.elapse(12 * minute)
  const follows = stage.gateways.asked
    .slice(from)
    .filter(({ method, what }) => method === 'nightjar_watch' && what === 'follow')
  expect(follows.map(({ params }) => (params as readonly [{ readonly stride: number }])[0].stride)).toEqual([5, 5])
  expect(Math.abs((follows[0]?.at ?? 0) - (follows[1]?.at ?? 0))).toBeGreaterThan(second)
  expect(stage.accounts.status.cold).toBe(0)
  expect((await newestOf(stage)) % 5).toBe(0)
})
