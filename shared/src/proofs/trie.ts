/** Merkle Patricia tries (Yellow Paper, appendix D), all of it @ethereumjs/mpt's: proofs of a key, and roots of lists. */
import { MerklePatriciaTrie, verifyMerkleProof } from '@ethereumjs/mpt'
import { bounds } from './bounds.ts'
import { bytesOf, data, type Hex, hexOf, listOf, rlp, scalar } from './fields.ts'
import { lie, unverifiable } from './verdict.ts'

/** The root of a trie that holds nothing: keccak of the RLP of no byte. */
export const emptyRoot: Hex = '0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421'

/**
 * What stands at `key` of the state or storage trie with this root; undefined where the proof shows that nothing does.
 * A node that the path does not need is passed over: it changes nothing about what is proven.
 */
export async function valueAt(root: Hex, key: Hex, proof: unknown): Promise<Hex | undefined> {
  const nodes = listOf(proof, bounds.proofNodes).map((node) => bytesOf(data(node, bounds.nodeBytes)))
  // Of a trie without nodes there is nothing to show, and the library would look for its root among none.
  if (root === emptyRoot) return undefined
  try {
    const value = await verifyMerkleProof(bytesOf(key), nodes, { root: bytesOf(root), useKeyHashing: true })
    return value === null ? undefined : hexOf(value)
  } catch {
    // It throws for one reason, in several words: these nodes do not lead from the root to the key.
    throw lie('proof')
  }
}

/** The root of the trie of a block's transactions or receipts: each at the RLP of its index. */
export async function rootOfList(items: readonly Uint8Array[]): Promise<Hex> {
  if (items.reduce((sum, item) => sum + item.length, 0) > bounds.blockBytes) throw unverifiable('too-large')
  const trie = new MerklePatriciaTrie()
  for (const [index, item] of items.entries()) await trie.put(rlp(scalar(BigInt(index))), item)
  return hexOf(trie.root())
}
