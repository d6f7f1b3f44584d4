/**
 * An account's state against a block's state root (EIP-1186, eth_getProof): balance, nonce, code hash, storage, and
 * that there is no such account or slot. What the answer claims is encoded and compared with what its proof leads to, so
 * nothing a stranger sent is decoded.
 */
import { bounds } from './bounds.ts'
import { bytesOf, data, fieldsOf, fixed, type Hex, hexOf, keccak, listOf, quantity, rlp, scalar } from './fields.ts'
import { emptyRoot, valueAt } from './trie.ts'
import { judge, lie, unverifiable, type Verdict } from './verdict.ts'

/** keccak of no byte: the code hash of an account without code. */
export const emptyCodeHash: Hex = '0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470'
/** What some nodes give for both hashes of an account that does not exist. */
const zeroHash: Hex = `0x${'00'.repeat(32)}`

/** What eth_getProof was asked. Slots are 32 bytes. */
export interface AccountQuestion {
  readonly address: Hex
  readonly slots: readonly Hex[]
}

export interface Account {
  readonly address: Hex
  readonly balance: bigint
  readonly nonce: bigint
  readonly codeHash: Hex
  readonly storageHash: Hex
  /** The value of each slot that was asked for. */
  readonly slots: ReadonlyMap<Hex, bigint>
}

export function verifyAccount(answer: unknown, question: AccountQuestion, stateRoot: Hex): Promise<Verdict<Account>> {
  return judge(async () => {
    const fields = fieldsOf(answer)
    const address = fixed(question.address, 20)
    if (fixed(fields.address, 20) !== address) throw lie('other-account')
    const balance = quantity(fields.balance)
    const nonce = quantity(fields.nonce)
    const codeHash = fixed(fields.codeHash, 32)
    const storageHash = fixed(fields.storageHash, 32)

    const leaf = await valueAt(fixed(stateRoot, 32), address, fields.accountProof)
    if (leaf === undefined) {
      const hasNothing = balance === 0n && nonce === 0n
      const hasNoCode = codeHash === emptyCodeHash || codeHash === zeroHash
      const hasNoStorage = storageHash === emptyRoot || storageHash === zeroHash
      if (!hasNothing || !hasNoCode || !hasNoStorage) throw lie('account')
      const slots = await slotsOf(fields.storageProof, question.slots, emptyRoot)
      return { address, balance, nonce, codeHash: emptyCodeHash, storageHash: emptyRoot, slots }
    }
    if (leaf !== hexOf(rlp([scalar(nonce), scalar(balance), storageHash, codeHash]))) throw lie('account')
    const slots = await slotsOf(fields.storageProof, question.slots, storageHash)
    return { address, balance, nonce, codeHash, storageHash, slots }
  })
}

/** Whether the answer fits its own proof, of whichever block that is: whoever gave it may have meant another one. */
export async function fitsOwnProof(answer: unknown, question: AccountQuestion): Promise<boolean> {
  const verdict = await judge(async () => {
    const [node] = listOf(fieldsOf(answer).accountProof, bounds.proofNodes)
    return verifyAccount(answer, question, keccak(bytesOf(data(node, bounds.nodeBytes))))
  })
  return verdict.kind === 'verified' && verdict.value.kind === 'verified'
}

/** The code of an account (eth_getCode), whose hash must be that of the verified account. */
export function verifyCode(answer: unknown, account: Account): Promise<Verdict<Hex>> {
  return judge(() => {
    const code = data(answer)
    if (keccak(bytesOf(code)) !== account.codeHash) throw lie('code')
    return code
  })
}

async function slotsOf(answers: unknown, asked: readonly Hex[], root: Hex): Promise<Map<Hex, bigint>> {
  const proofs = listOf(answers, bounds.slots)
  if (proofs.length !== asked.length) throw unverifiable('malformed')
  const slots = new Map<Hex, bigint>()
  for (const [index, slot] of asked.entries()) {
    const { key, value: claimed, proof } = fieldsOf(proofs[index])
    // Nodes write the key in full or as a number.
    if (quantity(key) !== BigInt(slot)) throw lie('other-slot')
    const value = quantity(claimed)
    const leaf = await valueAt(root, fixed(slot, 32), proof)
    // A slot of zero is one that is not there.
    if (leaf === undefined ? value !== 0n : leaf !== hexOf(rlp(scalar(value)))) throw lie('slot')
    slots.set(slot, value)
  }
  return slots
}
