import fc from 'fast-check'
import { describe, expect, it, test } from 'vitest'
import { emptyCodeHash, emptyRoot, type Hex, verifyAccount, verifyCode } from './index.ts'
import { at, changedLeaf, leavesOf, withAt } from './testing/change.ts'
import { judged, type ProofAnswer, prague, stateRootAt, verifiedOf } from './testing/vectors.ts'

const [wallet, delegate, receiver, contract, absent] = prague.proofs.slice(0, 5) as [
  ProofAnswer,
  ProofAnswer,
  ProofAnswer,
  ProofAnswer,
  ProofAnswer,
]
const later = prague.proofs.slice(5)
const contractLater = later[3] as ProofAnswer
const zeroHash = `0x${'00'.repeat(32)}` as const

const position = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
const step = fc.integer({ min: 1, max: 15 })

describe('verified are', () => {
  test.each(prague.proofs)('balance, nonce and hashes of $address at block $block', async (asked) => {
    const { balance, nonce, codeHash, storageHash } = asked.answer
    const account = verifiedOf(await judged(asked))
    expect(account).toMatchObject({ address: asked.address, codeHash, storageHash })
    expect([account.balance, account.nonce]).toEqual([BigInt(balance as string), BigInt(nonce as string)])
  })

  it('slots, and that a slot holds nothing, at an old block and at a later one', async () => {
    const valuesOf = async (asked: ProofAnswer) => [...verifiedOf(await judged(asked)).slots.values()]
    expect(await valuesOf(contract)).toEqual([1n, 42n, 2n ** 255n, 0n])
    expect(await valuesOf(contractLater)).toEqual([1n, 43n, 2n ** 255n, 0n])
    expect(await valuesOf(delegate)).toEqual([5n, 6n, 0n])
  })

  it('that there is no such account, in both forms that nodes give', async () => {
    const nobody = { balance: 0n, nonce: 0n, codeHash: emptyCodeHash, storageHash: emptyRoot }
    expect(verifiedOf(await judged(absent))).toMatchObject(nobody)
    const other = { ...absent.answer, codeHash: zeroHash, storageHash: zeroHash }
    expect(verifiedOf(await judged(absent, other))).toMatchObject(nobody)
    // A slot of nothing needs no node.
    const slots = [{ key: '0x0', value: '0x0', proof: [] }]
    expect(verifiedOf(await judged(absent, { ...absent.answer, storageProof: slots }))).toMatchObject(nobody)
  })

  it('the code of an account', async () => {
    const account = verifiedOf(await judged(contract))
    expect(verifiedOf(await verifyCode(prague.code.answer, account))).toBe(prague.code.answer)
    expect(verifiedOf(await verifyCode('0x', verifiedOf(await judged(wallet))))).toBe('0x')
  })
})

describe('never verified is', () => {
  test.each([wallet, delegate, receiver, contract, absent])(
    'an answer about $address with one digit changed, wherever',
    async (asked) => {
      // The one node of an empty trie says nothing: there its root alone does.
      const counts = (leaf: unknown) => leaf !== '0x80'
      const leaves = leavesOf(asked.answer).filter((path) => counts(at(asked.answer, path)))
      for (const path of leaves) {
        const changed = withAt(asked.answer, path, changedLeaf(at(asked.answer, path), 0.99, 1))
        expect(await judged(asked, changed), path.join('.')).not.toMatchObject({ kind: 'verified' })
      }
      await fc.assert(
        fc.asyncProperty(fc.constantFrom(...leaves), position, step, async (path, where, by) => {
          const changed = withAt(asked.answer, path, changedLeaf(at(asked.answer, path), where, by))
          expect(await judged(asked, changed)).not.toMatchObject({ kind: 'verified' })
        }),
        { numRuns: 150 },
      )
    },
  )

  it('a proof that lacks any of its nodes', async () => {
    for (const asked of [wallet, receiver, contract, absent]) {
      for (const index of asked.answer.accountProof.keys()) {
        const accountProof = asked.answer.accountProof.toSpliced(index, 1)
        expect(await judged(asked, { ...asked.answer, accountProof })).toEqual({ kind: 'lie', reason: 'proof' })
      }
    }
  })

  it.each<[string, ProofAnswer, object, string]>([
    ['a higher balance', wallet, { balance: '0xffffffffffffffffffff' }, 'account'],
    ['an older nonce', wallet, { nonce: '0x1' }, 'account'],
    ['code where there is none', wallet, { codeHash: `0x${'11'.repeat(32)}` }, 'account'],
    ['an account that is hidden', wallet, nothing(absent.answer.accountProof), 'proof'],
    ['an account that is hidden, with its own proof', wallet, nothing(wallet.answer.accountProof), 'account'],
    ['an account that does not exist', absent, { balance: '0x1' }, 'account'],
    ['a nonce where there is nobody', absent, { nonce: '0x1' }, 'account'],
    ['code where there is nobody', absent, { codeHash: `0x${'11'.repeat(32)}` }, 'account'],
    ['storage where there is nobody', absent, { storageHash: `0x${'11'.repeat(32)}` }, 'account'],
    ['the answer about another account', wallet, receiver.answer, 'other-account'],
    ['the answer about another, renamed', wallet, { ...receiver.answer, address: wallet.address }, 'proof'],
    ['an answer of another block', contract, contractLater.answer, 'proof'],
    ['no proof', wallet, { accountProof: [] }, 'proof'],
  ])('%s', async (_, asked, changes, reason) => {
    const answer = { ...asked.answer, storageProof: asked.answer.storageProof, ...changes }
    expect(await judged(asked, answer)).toEqual({ kind: 'lie', reason })
  })

  it('a slot with another value, in place of another, or hidden', async () => {
    const [zero, one, , empty] = contract.answer.storageProof as [object, object, object, object]
    const withSlot = (index: number, slot: object) => ({
      ...contract.answer,
      storageProof: contract.answer.storageProof.with(index, slot as never),
    })
    const slot = { kind: 'lie', reason: 'slot' }
    expect(await judged(contract, withSlot(1, { ...one, value: '0x2b' }))).toEqual(slot)
    expect(await judged(contract, withSlot(1, { ...one, value: '0x0' }))).toEqual(slot)
    expect(await judged(contract, withSlot(3, { ...empty, value: '0x1' }))).toEqual(slot)
    expect(await judged(contract, withSlot(1, zero))).toEqual({ kind: 'lie', reason: 'other-slot' })
    const hidden = { ...empty, key: '0x1' }
    expect(await judged(contract, withSlot(1, hidden))).toEqual({ kind: 'lie', reason: 'proof' })
    const old = contractLater.answer.storageProof[1] as object
    expect(await judged(contract, withSlot(1, old))).toEqual({ kind: 'lie', reason: 'proof' })
  })

  it('other code', async () => {
    const account = verifiedOf(await judged(contract))
    for (const code of ['0x', '0x00', `${prague.code.answer}00`, changedLeaf(prague.code.answer, 0.5, 1)])
      expect(await verifyCode(code, account)).toEqual({ kind: 'lie', reason: 'code' })
  })
})

describe('not judged is', () => {
  const { answer } = contract
  const node = answer.accountProof[0] as Hex

  test.each([
    ['null', null, 'malformed'],
    ['fewer slots than asked', { ...answer, storageProof: answer.storageProof.slice(1) }, 'malformed'],
    [
      'more slots than asked',
      { ...answer, storageProof: [...answer.storageProof, answer.storageProof[0]] },
      'malformed',
    ],
    ['too many nodes', { ...answer, accountProof: Array.from({ length: 66 }, () => node) }, 'too-large'],
    ['a node that is too long', { ...answer, accountProof: [`0x${'00'.repeat(533)}`] }, 'too-large'],
    ['a node that is no text', { ...answer, accountProof: [1] }, 'malformed'],
  ])('%s', async (_, changed, reason) => {
    expect(await judged(contract, changed)).toEqual({ kind: 'unverifiable', reason })
  })

  it('code that is too long', async () => {
    const account = verifiedOf(await judged(contract))
    const code = `0x${'00'.repeat(17 * 1024 * 1024)}`
    expect(await verifyCode(code, account)).toEqual({ kind: 'unverifiable', reason: 'too-large' })
  })
})

it('holds nothing for an address that nobody asked about, against any root', async () => {
  const elsewhere = { address: absent.address, slots: [] }
  const stateRoot = await stateRootAt(4)
  expect(await verifyAccount(absent.answer, elsewhere, stateRoot)).not.toMatchObject({ kind: 'verified' })
})

function nothing(accountProof: Hex[]): object {
  return { balance: '0x0', nonce: '0x0', codeHash: emptyCodeHash, storageHash: emptyRoot, accountProof }
}
