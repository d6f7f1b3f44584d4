import { privateKeyToAccount } from 'viem/accounts'
import { expect, test } from 'vitest'
import type { Hex } from '../proofs/index.ts'
import type { Json } from '../rpc/index.ts'
import { second } from '../runtime.ts'
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
      const raw = await signer.signTransaction({
        ...{ chainId: 31337, type: 'eip1559', to: a, gas: 21_000n, nonce },
        ...{ maxFeePerGas: 9n, maxPriorityFeePerGas: 1n },
      })
      const sent = (await result(stage, 'eth_sendRawTransaction', [raw])) as string
      await goOn(stage, each)
      await stage.clock.elapse(1 * second)
      await mineWith(stage, sent)
      while ((await result(stage, 'eth_getTransactionReceipt', [sent])) === null) await goOn(stage, 1)
    }
    expect(nonces).toEqual([0, 1, 2, 3, 4, 5])
  },
)
