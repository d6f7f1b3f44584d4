import { privateKeyToAccount } from 'viem/accounts'
import { describe, expect, it } from 'vitest'
import type { Hex } from '../proofs/index.ts'
import type { Json } from '../rpc/index.ts'
import { minute, second } from '../runtime.ts'
import { accountOf, type Stage, type StageOptions, setStage, site } from './testing/stage.ts'

const [a, b] = [accountOf(0), accountOf(1)]
const signer = privateKeyToAccount('0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80')
const sender = signer.address.toLowerCase() as Hex
const hash: Hex = `0x${'5a'.repeat(32)}`
const blockTime = 3
const hexOf = (number: number) => `0x${number.toString(16)}`

/** A chain of which every fourth block is on the grid. */
const setFastStage = (options: StageOptions = {}) =>
  setStage({ chainId: 31337, blockTime, ...options, settings: { coldSpread: second, ...options.settings } })

async function result(stage: Stage, method: string, params: readonly Json[] = []): Promise<Json> {
  return ((await stage.settled(stage.ask(method, params))) as { readonly result: Json }).result
}

async function newestOf(stage: Stage): Promise<number> {
  return Number(await result(stage, 'eth_blockNumber'))
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

/** Blocks come until the next one is the first after one of the grid. */
async function goToGrid(stage: Stage): Promise<void> {
  while (stage.chain.head.number % 4 !== 0) await goOn(stage, 1)
}

describe('a receipt', () => {
  it.each([1, 2, 3])('is told when `latest` has come to its block: no nonce is told twice (seed %d)', async (seed) => {
    const stage = await warm({ accounts: 3, seed })
    const nonces: number[] = []
    for (let each = 0; each < 6; each++) {
      const nonce = Number(await result(stage, 'eth_getTransactionCount', [sender, 'latest']))
      nonces.push(nonce)
      const raw = await signer.signTransaction({
        ...{ chainId: 31337, type: 'eip1559', to: a, gas: 21_000n, nonce },
        ...{ maxFeePerGas: 9n, maxPriorityFeePerGas: 1n },
      })
      const sent = (await result(stage, 'eth_sendRawTransaction', [raw])) as string
      await goOn(stage, each)
      await stage.clock.elapse(1 * second)
      const receipt = await mineWith(stage, sent)
      const { number } = stage.chain.head
      // As its gateway answers who asks for the transaction.
      stage.gateways.answer = () => ({ result: { ...receiptIn(stage.chain.head, sent), ...(receipt as object) } })
      for (;;) {
        const told = await result(stage, 'eth_getTransactionReceipt', [sent])
        const newest = await newestOf(stage)
        if (told !== null) {
          expect(told).toEqual(receipt)
          expect(newest).toBeGreaterThanOrEqual(number)
          break
        }
        // At most two slots: one until a block of the grid is there, one until all accounts are read at it.
        expect(stage.chain.head.number - number).toBeLessThanOrEqual(8)
        await goOn(stage, 1)
      }
      expect(await result(stage, 'eth_getTransactionByHash', [sent])).toMatchObject({ blockNumber: hexOf(number) })
      expect(await result(stage, 'eth_getBalance', [sender, 'latest'])).toBe(hexOf(99 - each))
    }
    expect(nonces).toEqual([0, 1, 2, 3, 4, 5])
  })

  it('that was asked for is held as well, as is the transaction’s block, until the first poll after that', async () => {
    const stage = await warm()
    await goToGrid(stage)
    const receipt = await mineWith(stage, hash)
    const { number } = stage.chain.head
    const transaction = { hash, ...receiptIn(stage.chain.head, hash), transactionIndex: '0x0' }
    stage.gateways.answer = () => ({ result: transaction })
    expect(await newestOf(stage)).toBeLessThan(number)
    // Nobody knows whose it is: it is asked of the site's gateway.
    expect(await result(stage, 'eth_getTransactionReceipt', [hash])).toBe(null)
    const pending = { ...transaction, blockHash: null, blockNumber: null, transactionIndex: null }
    expect(await result(stage, 'eth_getTransactionByHash', [hash])).toEqual(pending)
    expect(stage.gateways.asked.filter(({ group, params }) => group === site && String(params) === hash)).toHaveLength(
      2,
    )
    while ((await newestOf(stage)) < number) await goOn(stage, 1)
    expect(await result(stage, 'eth_getTransactionReceipt', [hash])).toEqual(receipt)
    expect(await result(stage, 'eth_getTransactionByHash', [hash])).toEqual(transaction)
  })

  it('waits for the sender’s own value, where the wallet was told a block before accounts were read', async () => {
    const stage = await setFastStage({ height: 1001 })
    expect(await newestOf(stage)).toBe(1001)
    await stage.chain.mine(new Map([[sender, { balance: 100n, nonce: 0n }]]))
    const receipt = await mineWith(stage, hash)
    expect(await newestOf(stage)).toBe(1003)
    // It is read at the newest block of the grid, 1000.
    stage.own.learn(sender, 'wallet')
    await stage.settled(stage.ask('eth_getBalance', [sender, 'latest']))
    await stage.clock.elapse(5 * second)
    expect(stage.accounts.status).toMatchObject({ watched: 1, cold: 0 })
    expect(await newestOf(stage)).toBe(1003)
    expect(await result(stage, 'eth_getTransactionReceipt', [hash])).toBe(null)
    await goOn(stage, 6)
    expect(await result(stage, 'eth_getTransactionReceipt', [hash])).toEqual(receipt)
    expect(await result(stage, 'eth_getTransactionCount', [sender, 'latest'])).toBe('0x1')
  })

  it('is told, and then no balance from before, though an account is read for the first time that is behind', async () => {
    const stage = await warm()
    await goToGrid(stage)
    await mineWith(stage, hash)
    while ((await result(stage, 'eth_getTransactionReceipt', [hash])) === null) await goOn(stage, 1)
    const told = await newestOf(stage)
    // Its first value is of the block of the grid before that.
    stage.gateways.faults.set(`account ${b}`, { lag: 7 })
    void stage.ask('eth_getBalance', [b, 'latest']).catch(() => undefined)
    stage.run()
    for (let waited = 0; waited === 0 || stage.accounts.status.cold > 0; waited++) {
      expect(waited).toBeLessThan(200)
      await stage.clock.elapse(second / 4)
    }
    expect(await newestOf(stage)).toBe(told)
    expect(await result(stage, 'eth_getBalance', [sender, 'latest'])).toBe(hexOf(99))
  })

  it('is told at once where no account has a value, and stays told when one has an older one', async () => {
    const stage = await setFastStage({ height: 1001, settings: { coldSpread: minute } })
    void stage.ask('eth_getBalance', [a, 'latest']).catch(() => undefined)
    await stage.clock.elapse(1 * second)
    const receipt = await mineWith(stage, hash)
    expect(stage.accounts.status).toMatchObject({ watched: 1, cold: 1 })
    expect(await newestOf(stage)).toBe(1000)
    expect(await result(stage, 'eth_getTransactionReceipt', [hash])).toEqual(receipt)
    await stage.clock.elapse(1 * minute)
    expect(stage.accounts.status).toMatchObject({ watched: 1, cold: 0 })
    expect(await newestOf(stage)).toBe(1000)
    expect(await result(stage, 'eth_getTransactionReceipt', [hash])).toEqual(receipt)
    // Of another block it is another one.
    await stage.chain.reorganise(1, new Map(), 1)
    const other = receiptIn(stage.chain.head, hash)
    stage.gateways.receipts.set(hash, other)
    expect(await result(stage, 'eth_getTransactionReceipt', [hash])).toBe(null)
  })

  it('is told at once where the chain’s heads cannot be had', async () => {
    const stage = await setFastStage()
    for (const index of [0, 1, 2]) stage.gateways.faults.set(`heads ${index} 31337`, { isNone: true })
    void stage.ask('eth_getBalance', [a, 'latest']).catch(() => undefined)
    await stage.clock.elapse(10 * second)
    const receipt = await mineWith(stage, hash)
    const start = stage.clock.now()
    expect(await result(stage, 'eth_getTransactionReceipt', [hash])).toEqual(receipt)
    expect(stage.clock.now()).toBe(start)
  })

  it('is told after three slots where the chain stops before its next block of the grid', async () => {
    const stage = await warm()
    await goToGrid(stage)
    const receipt = await mineWith(stage, hash)
    const poll = () => result(stage, 'eth_getTransactionReceipt', [hash])
    expect(await poll()).toBe(null)
    await stage.clock.elapse(35 * second)
    expect(await poll()).toBe(null)
    await stage.clock.elapse(1 * second)
    expect(await poll()).toEqual(receipt)
  })

  it('waits for an account whose gateway is silent until that is given up', async () => {
    const stage = await warm({ accounts: 2 })
    await goToGrid(stage)
    await stage.clock.elapse(12 * second)
    expect(await newestOf(stage)).toBe(stage.chain.head.number)
    stage.gateways.faults.set(`account ${b}`, { isSilent: true, isGone: true })
    const receipt = await mineWith(stage, hash)
    const { number } = stage.chain.head
    for (;;) {
      const told = await result(stage, 'eth_getTransactionReceipt', [hash])
      if (told !== null) {
        expect(told).toEqual(receipt)
        break
      }
      expect(stage.chain.head.number - number).toBeLessThanOrEqual(24)
      await goOn(stage, 1)
    }
    expect(await newestOf(stage)).toBeGreaterThanOrEqual(number)
  })
})

describe('the newest block', () => {
  const blocksOf = ({ gateways }: Stage) =>
    gateways.asked.filter(({ group, method }) => group === site && method === 'eth_getBlockByNumber')
  const numberOf = async (stage: Stage) =>
    Number(((await result(stage, 'eth_getBlockByNumber', ['latest', false])) as { readonly number: string }).number)

  it('is the one whose number the wallet is told, asked for by that', async () => {
    const stage = await warm()
    await goToGrid(stage)
    await goOn(stage, 2)
    for (let each = 0; each < 10; each++) {
      const newest = await newestOf(stage)
      expect(newest).toBeLessThan(stage.chain.head.number)
      expect(await numberOf(stage)).toBe(newest)
      expect(blocksOf(stage).at(-1)?.params).toEqual([hexOf(newest), false])
      await goOn(stage, 1)
    }
    await result(stage, 'eth_getBlockByNumber', ['latest', true])
    expect(blocksOf(stage).at(-1)?.params).toEqual([hexOf(await newestOf(stage)), true])
  })

  it('is none where the caller’s gateway does not have it yet', async () => {
    const stage = await warm()
    stage.gateways.faults.set(site, { lag: 40 })
    expect(await result(stage, 'eth_getBlockByNumber', [hexOf(await newestOf(stage)), false])).toBe(null)
    expect(await result(stage, 'eth_getBlockByNumber', ['latest', false])).toBe(null)
  })

  it('is asked for as it was by other names, and in other calls', async () => {
    const stage = await warm()
    for (const tag of ['pending', 'safe', 'finalized', 'earliest', '0x10']) {
      await stage.settled(stage.ask('eth_getBlockByNumber', [tag, false]))
      expect(blocksOf(stage).at(-1)?.params).toEqual([tag, false])
    }
    for (const method of ['eth_getBlockTransactionCountByNumber', 'eth_getBlockReceipts', 'eth_feeHistory']) {
      await stage.settled(stage.ask(method, ['latest']))
      expect(stage.gateways.asked.at(-1)).toMatchObject({ group: site, method, params: ['latest'] })
    }
  })

  it('is what the gateway says where nothing is watched; watches do not take the wallet back behind it', async () => {
    const stage = await setFastStage({ height: 1002 })
    expect(await numberOf(stage)).toBe(1002)
    expect(blocksOf(stage).map(({ params }) => params)).toEqual([['latest', false]])
    await stage.settled(stage.ask('eth_getBalance', [a, 'latest']))
    await stage.clock.elapse(5 * second)
    expect(stage.accounts.status).toMatchObject({ watched: 1, cold: 0 })
    // The newest block of the grid is 1000.
    expect(await newestOf(stage)).toBe(1002)
    expect(await numberOf(stage)).toBe(1002)
    await goOn(stage, 12)
    expect((await newestOf(stage)) % 4).toBe(0)
  })
})
