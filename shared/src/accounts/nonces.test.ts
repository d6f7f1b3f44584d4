import { privateKeyToAccount } from 'viem/accounts'
import { describe, expect, it, test } from 'vitest'
import type { NightjarError } from '../errors/index.ts'
import type { Hex } from '../proofs/index.ts'
import type { Json, Outcome } from '../rpc/index.ts'
import { minute, second } from '../runtime.ts'
import { OwnAccounts } from '../wallet/index.ts'
import { Nonces } from './nonces.ts'
import { accountOf, type Stage, type StageOptions, setStage } from './testing/stage.ts'

const a = accountOf(0)
const signer = privateKeyToAccount('0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80')
const sender = signer.address.toLowerCase() as Hex
const blockTime = 3
const hexOf = (number: number) => `0x${number.toString(16)}`

/** A chain of which every fourth block is on the grid. */
const setFastStage = (options: StageOptions = {}) =>
  setStage({ chainId: 31337, blockTime, ...options, settings: { coldSpread: second, ...options.settings } })

async function result(stage: Stage, method: string, params: readonly Json[] = []): Promise<Json> {
  return ((await stage.settled(stage.ask(method, params))) as { readonly result: Json }).result
}

async function send(stage: Stage, nonce: number): Promise<string> {
  const raw = await signer.signTransaction({
    ...{ chainId: 31337, type: 'eip1559', to: a, gas: 21_000n, nonce },
    ...{ maxFeePerGas: 9n, maxPriorityFeePerGas: 1n },
  })
  return (await result(stage, 'eth_sendRawTransaction', [raw])) as string
}

/** The next block is there, with this transaction in it and the sender's next nonce. */
async function mineWith({ chain, gateways }: Stage, transaction: string): Promise<Json> {
  const { balance, nonce } = chain.head.holdings.get(sender) ?? { balance: 100n, nonce: 0n }
  await chain.mine(new Map([[sender, { balance: balance - 1n, nonce: nonce + 1n }]]))
  const receipt = receiptIn(chain.head, transaction)
  gateways.receipts.set(transaction, receipt)
  gateways.announce()
  return receipt
}

const receiptIn = (block: { readonly number: number; readonly hash: string }, transactionHash: string) => ({
  ...{ transactionHash, from: sender, status: '0x1' },
  ...{ blockNumber: hexOf(block.number), blockHash: block.hash },
})

/** Accounts and the sender are watched, and blocks come. */
async function warm(options: StageOptions = {}): Promise<Stage> {
  const stage = await setFastStage(options)
  await stage.chain.mine(new Map([[sender, { balance: 100n, nonce: 0n }]]))
  for (const account of [...stage.all, sender]) {
    void stage.ask('eth_getBalance', [account, 'latest']).catch(() => undefined)
  }
  await goOn(stage, 20)
  expect(stage.accounts.status).toMatchObject({ watched: stage.all.length + 1, cold: 0 })
  return stage
}

/** So many blocks come, with nothing in them. */
async function goOn({ chain, clock, gateways }: Stage, blocks: number): Promise<void> {
  for (let each = 0; each < blocks; each++) {
    await clock.elapse(blockTime * second)
    await chain.mine()
    gateways.announce()
  }
}

// Found by review: four payments were reported where one was made.
test.each([1, 2, 3])(
  'who knows of a receipt is told the next nonce, however late it is watched (seed %d)',
  async (seed) => {
    const stage = await warm({ accounts: 3, seed })
    const nonces: number[] = []
    for (let each = 0; each < 6; each++) {
      const nonce = Number(await result(stage, 'eth_getTransactionCount', [sender, 'latest']))
      nonces.push(nonce)
      const sent = await send(stage, nonce)
      await goOn(stage, each)
      await stage.clock.elapse(1 * second)
      await mineWith(stage, sent)
      while ((await result(stage, 'eth_getTransactionReceipt', [sent])) === null) await goOn(stage, 1)
    }
    expect(nonces).toEqual([0, 1, 2, 3, 4, 5])
  },
)

// Found by review: five payments were reported where one was made.
describe('an account that no watch can say, while the user is at another', () => {
  /** What comes of a call for the sender, of which the site may have nothing watched, just after one for the other. */
  async function outcomeOf(stage: Stage, method: string, params: readonly Json[]): Promise<Outcome | 'still-apart'> {
    const { accounts, own } = stage
    expect(await result(stage, 'eth_getStorageAt', [a, '0x0', 'latest'])).toBe('0x1')
    const request = { site: 'site', chain: 31337, call: { method, params }, own, watchable: 0 }
    const told = await stage.settled(accounts.request(request))
    if (!(told instanceof Error)) return told
    expect((told as NightjarError).code).toBe('still-apart')
    return 'still-apart'
  }

  async function untilTold(stage: Stage, method: string, params: readonly Json[]): Promise<Json> {
    for (let blocks = 0; blocks < 400; blocks++) {
      await goOn(stage, 1)
      const told = await outcomeOf(stage, method, params)
      if (told !== 'still-apart') return (told as { readonly result: Json }).result
    }
    throw new Error('never told')
  }

  async function setApart(): Promise<Stage> {
    const stage = await setFastStage({ accounts: 2, settings: { coldSpread: 10 * minute } })
    await stage.chain.mine(new Map([[sender, { balance: 100n, nonce: 0n }]]))
    stage.own.learn(sender)
    await goOn(stage, 1)
    return stage
  }

  async function pay(stage: Stage, nonce: number): Promise<void> {
    const sent = await send(stage, nonce)
    if (!stage.gateways.receipts.has(sent)) await mineWith(stage, sent)
    await untilInBlock(stage, sent)
  }

  async function untilInBlock(stage: Stage, transaction: string): Promise<void> {
    const asked = ['eth_getTransactionReceipt', [transaction]] as const
    while (JSON.stringify(await outcomeOf(stage, ...asked)) === '{"result":null}') await goOn(stage, 1)
  }

  it.each(['latest', 'pending'])('is told the next nonce after each payment, at %s', async (at) => {
    const stage = await setApart()
    const nonces: number[] = []
    for (let each = 0; each < 5; each++) {
      const nonce = Number(await untilTold(stage, 'eth_getTransactionCount', [sender, at]))
      nonces.push(nonce)
      await pay(stage, nonce)
    }
    expect(nonces).toEqual([0, 1, 2, 3, 4])
  })

  it('is told no nonce twice of what was asked once, but that of a block that it names', async () => {
    const stage = await setApart()
    const block = hexOf(stage.chain.head.number)
    for (const [at, isKept] of [
      ['pending', false],
      ['latest', false],
      [block, true],
    ] as const) {
      await untilTold(stage, 'eth_getTransactionCount', [sender, at])
      const again = await outcomeOf(stage, 'eth_getTransactionCount', [sender, at])
      expect(again, at).toEqual(isKept ? { result: '0x0' } : 'still-apart')
    }
  })

  it('has nothing kept from before a transaction that it sent, or whose receipt was told', async () => {
    const stage = await setApart()
    const pending = ['eth_getBalance', [sender, 'pending']] as const
    const kept = async () => {
      await untilTold(stage, ...pending)
      expect(await outcomeOf(stage, ...pending)).toHaveProperty('result')
    }
    await kept()
    const sent = await send(stage, 0)
    expect(await outcomeOf(stage, ...pending)).toBe('still-apart')
    await kept()
    await mineWith(stage, sent)
    await untilInBlock(stage, sent)
    expect(await outcomeOf(stage, ...pending)).toBe('still-apart')
    await kept()
    // Told once more, it is nothing new.
    await untilInBlock(stage, sent)
    expect(await outcomeOf(stage, ...pending)).toEqual({ result: hexOf(99) })
  })
})

// Found by review: any gateway could have the nonce of any account asked of that one's gateway alone, for good.
test('what a stranger says of an account in a receipt has its nonce verified as before', async () => {
  const stage = await warm({ accounts: 1 })
  const { accounts, gateways, own } = stage
  const transaction = `0x${'ab'.repeat(32)}`
  gateways.receipts.set(transaction, receiptIn({ number: 0xffffffffff, hash: transaction }, transaction))
  const call = { method: 'eth_getTransactionReceipt', params: [transaction] }
  const besides = { method: 'eth_getTransactionReceipt', params: [transaction, a] }
  // Of another site, of this one, and of an account's gateway about another account.
  for (const [site, each, known] of [
    ['evil', call, new OwnAccounts()],
    ['site', call, own],
    ['site', besides, own],
  ] as const) {
    const told = await stage.settled(accounts.request({ site, chain: 31337, call: each, own: known }))
    expect(told).toHaveProperty('result.from', sender)
  }
  const from = gateways.asked.length
  const { verified } = accounts.status.counts
  expect(await result(stage, 'eth_getTransactionCount', [sender, 'latest'])).toBe('0x0')
  expect(gateways.asked.slice(from).map(({ method }) => method)).not.toContain('eth_getTransactionCount')
  expect(accounts.status.counts.verified).toBe(verified + 1)
})

test('a receipt counts, too, that its account’s gateway told when it was asked', async () => {
  const stage = await warm({ accounts: 1 })
  const transaction = `0x${'ab'.repeat(32)}`
  stage.own.learnTransaction(transaction, sender)
  while (stage.chain.head.number % 4 !== 0) await goOn(stage, 1)
  await goOn(stage, 3)
  await mineWith(stage, transaction)
  expect(await result(stage, 'eth_getTransactionReceipt', [transaction])).toHaveProperty('from', sender)
  expect(await result(stage, 'eth_getTransactionCount', [sender, 'latest'])).toBe('0x1')
})

// Found by review: the first value of a watch is of a block of the grid, and what was told before may be newer.
describe('a watch that begins when its gateway has told a nonce', () => {
  /** The sender sent by other ways, in the block after one of the grid; then its nonce is asked for the first time. */
  async function beginLate(lie?: Json): Promise<Stage> {
    const stage = await setFastStage({ accounts: 1 })
    await stage.chain.mine(new Map([[sender, { balance: 100n, nonce: 0n }]]))
    await stage.settled(stage.ask('eth_getBalance', [a, 'latest']))
    do await goOn(stage, 1)
    while (stage.chain.head.number % 4 !== 0)
    await goOn(stage, 4)
    await stage.chain.mine(new Map([[sender, { balance: 99n, nonce: 1n }]]))
    stage.gateways.announce()
    await stage.clock.elapse(10 * second)
    if (lie !== undefined) {
      const forge = (value: Json, method: string) => (method === 'eth_getTransactionCount' ? lie : value)
      const fault = {
        forge: (of: { readonly [name: string]: Json }, method: string) => ({
          ...of,
          value: forge(of.value ?? null, method),
        }),
      }
      stage.gateways.faults.set(`account ${sender}`, fault)
    }
    expect(await result(stage, 'eth_getTransactionCount', [sender, 'latest'])).toBe(lie ?? '0x1')
    await stage.clock.elapse(5 * second)
    expect(stage.accounts.status).toMatchObject({ watched: 2, cold: 0 })
    return stage
  }

  it('tells none that is older, and then tells it as before', async () => {
    const stage = await beginLate()
    expect(await result(stage, 'eth_getTransactionCount', [sender, 'latest'])).toBe('0x1')
    await goOn(stage, 8)
    const from = stage.gateways.asked.length
    expect(await result(stage, 'eth_getTransactionCount', [sender, 'latest'])).toBe('0x1')
    expect(stage.gateways.asked.slice(from).map(({ method }) => method)).not.toContain('eth_getTransactionCount')
  })

  it('is believed again within a few slots where that was a lie, however often it was told', async () => {
    const stage = await beginLate('0x63')
    const told: Json[] = []
    for (let blocks = 0; blocks < 24; blocks++) {
      told.push(await result(stage, 'eth_getTransactionCount', [sender, 'latest']))
      await goOn(stage, 1)
    }
    expect(told.slice(0, 4)).toEqual(Array(4).fill('0x63'))
    expect(told.slice(12)).toEqual(Array(12).fill('0x1'))
  })
})

describe('what was told of an account', () => {
  const of = (number: number, nonce: number) => ({ number, nonce: hexOf(nonce) })
  const block = (number: number) => ({ number, hash: `hash ${number}` })

  it('is a receipt: nothing from before its block is told, unless that is another one now', () => {
    const nonces = new Nonces()
    expect(nonces.isOld(a, of(7, 1), 9)).toBe(false)
    expect(nonces.mined(a, block(8))).toBe(true)
    expect([block(8), block(6)].map((each) => nonces.mined(a, each))).toEqual([false, false])
    expect([7, 8].map((number) => nonces.isOld(a, of(number, 1), 9))).toEqual([true, false])
    expect(nonces.isOld(sender, of(7, 1), 9)).toBe(false)
    nonces.onReplaced(8, 'hash 8')
    nonces.onReplaced(7, 'another')
    expect(nonces.isOld(a, of(7, 1), 9)).toBe(true)
    nonces.onReplaced(8, 'another')
    expect(nonces.isOld(a, of(7, 1), 9)).toBe(false)
  })

  it('is a receipt of a block that nobody can have: that binds until the next ones are there', () => {
    const nonces = new Nonces()
    nonces.mined(a, block(1_000_000))
    expect([9, 10, 12].map((number) => nonces.isOld(a, of(number, 1), number + 3))).toEqual([true, true, false])
  })

  it('is a nonce that goes up faster than the watch comes: each is waited for while those before were true', () => {
    const nonces = new Nonces()
    const seen = [4, 8, 12, 16, 20].map((number) => {
      nonces.told(a, number + 3)
      return nonces.isOld(a, of(number, number), number + 4)
    })
    expect(seen).toEqual([true, true, true, true, true])
    expect(nonces.isOld(a, of(24, 23), 28)).toBe(false)
  })

  it('is remembered of 256 accounts', () => {
    const nonces = new Nonces()
    nonces.told(a, 5)
    for (let each = 0; each < 256; each++) nonces.told(`0x${each}`, 5)
    expect(nonces.isOld(a, of(7, 1), 9)).toBe(false)
    expect(nonces.isOld('0x0', of(7, 1), 9)).toBe(true)
  })
})
