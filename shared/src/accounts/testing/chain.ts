/**
 * A chain in memory with real state tries and headers, so that proofs about it hold and proofs about anything else do not.
 */
import { createMerkleProof, MerklePatriciaTrie } from '@ethereumjs/mpt'
import { bytesOf, type Hex, hexOf, type Item, keccak, rlp, scalar } from '../../proofs/fields.ts'
import { emptyCodeHash, emptyRoot } from '../../proofs/index.ts'
import { codeHash, type Json } from '../../rpc/index.ts'

export interface Held {
  readonly balance: bigint
  readonly nonce: bigint
  readonly code?: Hex
}

export type Holdings = ReadonlyMap<Hex, Held>

export interface MinedBlock {
  readonly number: number
  readonly hash: Hex
  readonly header: { readonly [name: string]: Json }
  readonly holdings: Holdings
  readonly trie: MerklePatriciaTrie
}

const genesisTime = 1_700_000_000
const word = `0x${'00'.repeat(32)}` as const
const constants = {
  sha3Uncles: word,
  miner: `0x${'00'.repeat(20)}`,
  transactionsRoot: emptyRoot,
  receiptsRoot: emptyRoot,
  logsBloom: `0x${'00'.repeat(256)}`,
  difficulty: '0x0',
  gasLimit: '0x1c9c380',
  gasUsed: '0x0',
  mixHash: word,
  nonce: '0x0000000000000000',
} as const

export class Chain {
  readonly blocks: MinedBlock[] = []
  readonly #blockTime: number

  private constructor(blockTime: number) {
    this.#blockTime = blockTime
  }

  /** @param blockTime in seconds */
  static async start(holdings: Holdings, blockTime = 12, height = 1000): Promise<Chain> {
    const chain = new Chain(blockTime)
    const trie = await trieOf(holdings)
    for (let number = 0; number <= height; number++) chain.#append({ holdings, trie, salt: 0 })
    return chain
  }

  get head(): MinedBlock {
    return this.blocks.at(-1) as MinedBlock
  }

  async mine(changes: Holdings = new Map(), salt = 0): Promise<MinedBlock> {
    const { holdings, trie } = this.head
    if (changes.size === 0) return this.#append({ holdings, trie, salt })
    const next = new Map([...holdings, ...changes])
    return this.#append({ holdings: next, trie: await trieOf(next), salt })
  }

  /** The newest `depth` blocks are replaced by `length` others, with these changes from the first on. */
  async reorganise(depth: number, changes: Holdings, length = depth + 1): Promise<void> {
    this.blocks.splice(-depth)
    const salt = Number(BigInt(this.head.hash) % 1000n) + depth
    await this.mine(changes, salt)
    for (let each = 1; each < length; each++) await this.mine(new Map(), salt)
  }

  /** What eth_getProof answers. */
  async proof(account: Hex, { holdings, trie }: MinedBlock): Promise<{ readonly [name: string]: Json }> {
    const { balance, nonce, code }: Held = holdings.get(account) ?? { balance: 0n, nonce: 0n }
    const accountProof = (await createMerkleProof(trie, bytesOf(account))).map(hexOf)
    return {
      address: account,
      balance: `0x${balance.toString(16)}`,
      nonce: `0x${nonce.toString(16)}`,
      codeHash: code === undefined ? emptyCodeHash : codeHash(code),
      storageHash: emptyRoot,
      accountProof,
      storageProof: [],
    }
  }

  #append({ holdings, trie, salt }: Pick<MinedBlock, 'holdings' | 'trie'> & { readonly salt: number }): MinedBlock {
    const number = this.blocks.length
    const quantities = { number, timestamp: genesisTime + Math.floor(number * this.#blockTime) }
    const parentHash = this.blocks.at(-1)?.hash ?? word
    const stateRoot = hexOf(trie.root())
    const extraData = `0x${salt.toString(16).padStart(4, '0')}` as Hex
    const c = constants
    const items: Item[] = [
      parentHash,
      c.sha3Uncles,
      c.miner,
      stateRoot,
      c.transactionsRoot,
      c.receiptsRoot,
      c.logsBloom,
    ]
    items.push(scalar(0n), scalar(BigInt(number)), scalar(BigInt(c.gasLimit)), scalar(0n))
    items.push(scalar(BigInt(quantities.timestamp)), extraData, c.mixHash, c.nonce)
    const hash = keccak(rlp(items))
    const header = {
      ...constants,
      ...{ hash, parentHash, stateRoot, extraData },
      number: `0x${number.toString(16)}`,
      timestamp: `0x${quantities.timestamp.toString(16)}`,
    }
    const block = { number, hash, header, holdings, trie }
    this.blocks.push(block)
    return block
  }
}

async function trieOf(holdings: Holdings): Promise<MerklePatriciaTrie> {
  const trie = new MerklePatriciaTrie({ useKeyHashing: true })
  for (const [account, { balance, nonce, code }] of holdings) {
    const hash = code === undefined ? emptyCodeHash : (codeHash(code) as Hex)
    await trie.put(bytesOf(account), rlp([scalar(nonce), scalar(balance), emptyRoot, hash]))
  }
  return trie
}
