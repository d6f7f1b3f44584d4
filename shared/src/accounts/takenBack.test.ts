/** Blocks that one of those whose heads are followed takes back: by a lie, or because it is the first to hear of it. */
import { privateKeyToAccount } from 'viem/accounts'
import { describe, expect, it } from 'vitest'
import { type Hex, type Item, keccak, rlp, scalar } from '../proofs/fields.ts'
import type { Json } from '../rpc/index.ts'
import { day, minute, second } from '../runtime.ts'
import type { MinedBlock } from './testing/chain.ts'
import type { Fault } from './testing/gateways.ts'
import { accountOf, type Stage, setStage } from './testing/stage.ts'

const signer = privateKeyToAccount('0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80')
const sender = signer.address.toLowerCase() as Hex
const hexOf = (number: number) => `0x${number.toString(16)}`

async function result({ ask, settled }: Stage, method: string, params: readonly Json[] = []): Promise<Json> {
  return ((await settled(ask(method, params))) as { readonly result: Json }).result
}

/** So many blocks come. */
async function goOn({ chain, clock, gateways }: Stage, blocks: number): Promise<void> {
  for (let each = 0; each < blocks; each++) {
    await clock.elapse(12 * second)
    await chain.mine()
    gateways.announce()
  }
}

/** The sender is watched, and a transaction of it is in a block whose receipt is known; then some blocks come. */
async function paid(blocks: number) {
  const stage = await setStage({ settings: { coldSpread: second } })
  const { chain, clock, gateways } = stage
  await chain.mine(new Map([[sender, { balance: 100n, nonce: 5n }]]))
  for (const each of [...stage.all, sender]) void stage.ask('eth_getBalance', [each, 'latest']).catch(() => undefined)
  await goOn(stage, 24)
  const raw = await signer.signTransaction({
    ...{ chainId: 1, type: 'eip1559', to: accountOf(0), gas: 21_000n, nonce: 5 },
    ...{ maxFeePerGas: 9n, maxPriorityFeePerGas: 1n },
  })
  const transaction = (await result(stage, 'eth_sendRawTransaction', [raw])) as string
  await clock.elapse(12 * second)
  const { number, hash } = await chain.mine(new Map([[sender, { balance: 99n, nonce: 6n }]]))
  const receipt = { transactionHash: transaction, from: sender, blockNumber: hexOf(number), blockHash: hash }
  gateways.receipts.set(transaction, receipt)
  gateways.announce()
  await goOn(stage, blocks)
  expect(await result(stage, 'eth_getTransactionReceipt', [transaction])).toEqual(receipt)
  return { stage, transaction, receipt }
}

/** Another header of that number, true to its hash. */
function anotherOf({ header }: MinedBlock): { readonly [name: string]: Json } {
  const other = { ...header, extraData: '0xbad0' } as unknown as Record<string, Hex>
  const fields = (names: readonly string[]): Item[] => names.map((name) => other[name] as Hex)
  const number = (name: string) => scalar(BigInt(other[name] as Hex))
  const roots = ['parentHash', 'sha3Uncles', 'miner', 'stateRoot', 'transactionsRoot', 'receiptsRoot', 'logsBloom']
  const numbers = ['difficulty', 'number', 'gasLimit', 'gasUsed', 'timestamp'].map(number)
  const items = [...fields(roots), ...numbers, ...fields(['extraData', 'mixHash', 'nonce'])]
  return { ...other, hash: keccak(rlp(items)) }
}

/** It tells of that header only; where `isSteady`, it says the same when it is asked for its number. */
function tellerOf(header: { readonly [name: string]: Json }, isSteady: boolean): Fault {
  return {
    forge: (value, method) => {
      if (method === 'newHeads') return header
      const asked = value.value as { readonly number?: Json } | null
      return isSteady && asked?.number === header.number ? { value: header } : value
    },
  }
}

describe('one who says that an old block is another', () => {
  it.each([
    [2, false],
    [13, false],
    [13, true],
  ])('takes nothing back (%d blocks, steadily: %s)', async (depth, isSteady) => {
    const { stage, transaction, receipt } = await paid(11)
    const { chain, clock, gateways } = stage
    const header = anotherOf(chain.blocks[chain.head.number - depth] as MinedBlock)
    gateways.faults.set('heads 0 1', tellerOf(header, isSteady))
    let newest = Number(await result(stage, 'eth_blockNumber'))
    const { verified } = stage.accounts.status.counts
    await goOn(stage, 1)
    for (let time = 0; time < 60; time++) {
      await clock.elapse(second)
      if (time % 12 === 0) await goOn(stage, 1)
      const next = Number(await result(stage, 'eth_blockNumber'))
      expect(next).toBeGreaterThanOrEqual(newest)
      newest = next
      expect(await result(stage, 'eth_getTransactionReceipt', [transaction])).toEqual(receipt)
      expect(await result(stage, 'eth_getBalance', [sender, hexOf(newest)])).toBe('0x63')
    }
    expect(chain.head.number - newest).toBeLessThan(3)
    expect(stage.accounts.status.counts.verified).toBeGreaterThanOrEqual(verified + 60)
    // One that says what is true when it is asked cannot be told from one who has not heard of a reorganisation.
    expect(gateways.gatewayOf('heads 0 1')).toBe(isSteady ? 'heads 0 1 #1' : 'heads 0 1 #0')
  })

  it('does not take the newest block back before there is any watch', async () => {
    const stage = await setStage({ seed: 2, settings: { coldSpread: day } })
    void stage.ask('eth_getBalance', [accountOf(0), 'latest']).catch(() => undefined)
    await goOn(stage, 20)
    expect(stage.accounts.status).toMatchObject({ watched: 1, cold: 1 })
    const told = [Number(await result(stage, 'eth_blockNumber'))]
    const header = anotherOf(stage.chain.blocks[stage.chain.head.number - 13] as MinedBlock)
    stage.gateways.faults.set('heads 0 1', tellerOf(header, false))
    for (let blocks = 0; blocks < 5; blocks++) {
      await goOn(stage, 1)
      for (let polls = 0; polls < 2; polls++) told.push(Number(await result(stage, 'eth_blockNumber')))
    }
    expect(told).toEqual(told.toSorted((one, other) => one - other))
    expect(told.at(-1)).toBe(stage.chain.head.number)
  })
})

describe('a reorganisation', () => {
  it('to a shorter chain takes a receipt back once both have told of it, and brings no third in', async () => {
    const { stage, transaction } = await paid(2)
    const { chain, clock, gateways } = stage
    gateways.faults.set(`account ${sender}`, { isSilent: true })
    gateways.faults.set('heads 1 1', { isSilent: true })
    await chain.reorganise(4, new Map([[sender, { balance: 50n, nonce: 5n }]]), 1)
    gateways.receipts.set(transaction, null)
    gateways.announce()
    await clock.elapse(2 * second)
    gateways.faults.delete('heads 1 1')
    gateways.announce()
    await clock.elapse(8 * second)
    expect(await result(stage, 'eth_getTransactionReceipt', [transaction])).toBeNull()
    expect(gateways.asked.some(({ group }) => group === 'heads 2 1')).toBe(false)
  })

  it('of which one never hears takes back what it did as soon as two others have other blocks there', async () => {
    const { stage, transaction } = await paid(2)
    const { chain, clock, gateways } = stage
    const old = new Map(chain.blocks.map(({ number, header }) => [hexOf(number), header]))
    const isStuck: Fault = {
      isSilent: true,
      forge: ({ value }) => ({ value: old.get((value as { readonly number?: string } | null)?.number ?? '') ?? null }),
    }
    gateways.faults.set(`account ${sender}`, { isSilent: true })
    gateways.faults.set('heads 1 1', isStuck)
    await chain.reorganise(4, new Map([[sender, { balance: 50n, nonce: 5n }]]), 1)
    gateways.receipts.set(transaction, null)
    gateways.announce()
    await clock.elapse(30 * second)
    await goOn(stage, 5)
    await clock.elapse(minute / 2)
    expect(await result(stage, 'eth_getTransactionReceipt', [transaction])).toBeNull()
    expect(gateways.gatewayOf('heads 1 1')).toBe('heads 1 1 #1')
  })
})
