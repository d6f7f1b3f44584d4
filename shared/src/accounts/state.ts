/** An account at a block, as its gateway says it, and what becomes of that when it is checked. */
import { type AccountQuestion, fitsOwnProof, type Hex, verifyAccount } from '../proofs/index.ts'
import { type Json, type Outcome, unpackNodes } from '../rpc/index.ts'
import type { Address } from '../wallet/index.ts'
import type { Agreement } from './agreement.ts'
import { isHash, isObject, isSafeQuantity, type JsonObject, quantityOf } from './json.ts'

export interface State {
  readonly number: number
  /** Of the block. */
  readonly hash: string
  /** Quantities as nodes write them. */
  readonly balance: string
  readonly nonce: string
  readonly codeHash: string
  readonly trust: 'verified' | 'unverified'
}

/** What a gateway said; nothing of it is checked but its form. */
export interface Claim {
  readonly number: number
  /** Undefined where it was not asked for. */
  readonly hash: string | undefined
  readonly fields: JsonObject
}

export type Checked =
  | { readonly kind: 'state'; readonly state: State }
  /** Proved false. */
  | { readonly kind: 'lie'; readonly what: string }
  /** About a block that others contradict, or do not agree about. */
  | { readonly kind: 'elsewhere' }
  /** About a block that nobody else has yet. */
  | { readonly kind: 'unconfirmed' }
  /** Not of the form that was asked for. */
  | { readonly kind: 'malformed' }

/** An answer of `nightjar_watch`: `{ number, hash, balance, nonce, codeHash, storageHash, proof }`. */
export function claimOf(outcome: Outcome): Claim | undefined {
  const fields = 'result' in outcome ? outcome.result : null
  if (!isObject(fields)) return undefined
  const { number, hash, proof, ...rest } = fields
  if (!isSafeQuantity(number) || !isHash(hash)) return undefined
  const claim = { number: Number(number), hash: hash.toLowerCase() }
  if (proof === undefined || proof === null) return { ...claim, fields: rest }
  const accountProof = unpackNodes(proof)
  return accountProof === undefined ? undefined : { ...claim, fields: { ...rest, accountProof } }
}

/** Whether it says that the watch was there before, and the next slot tells more. */
export function isJoined(outcome: Outcome): boolean {
  return 'result' in outcome && isObject(outcome.result) && outcome.result.joined === true
}

/** What is left of `claim` about `account`, given what its block is. */
export async function check(account: Address, claim: Claim, agreement: Agreement): Promise<Checked> {
  if (agreement.kind === 'disputed') return { kind: 'elsewhere' }
  if (agreement.kind === 'unconfirmed') return { kind: 'unconfirmed' }
  const { hash } = agreement
  const isSameBlock = claim.hash === undefined || claim.hash === hash
  const header = agreement.kind === 'agreed' ? agreement.header : undefined
  if (header === undefined || claim.fields.accountProof === undefined) {
    return isSameBlock ? unverified(claim, hash) : { kind: 'elsewhere' }
  }
  const verdict = await verifyAccount(answerOf(account, claim), questionOf(account), header.stateRoot as Hex)
  if (verdict.kind === 'verified') {
    const { balance, nonce, codeHash } = verdict.value
    return {
      kind: 'state',
      state: {
        number: claim.number,
        hash,
        balance: quantityOf(balance),
        nonce: quantityOf(nonce),
        codeHash,
        trust: 'verified',
      },
    }
  }
  // A proof for another block proves nothing about this one, nor that somebody lied.
  if (!isSameBlock) return { kind: 'elsewhere' }
  return verdict.kind === 'lie' ? { kind: 'lie', what: verdict.reason } : { kind: 'malformed' }
}

/** Whether the claim fits its own proof: then it may be true of another block. */
export function fitsItself(account: Address, claim: Claim): Promise<boolean> {
  return fitsOwnProof(answerOf(account, claim), questionOf(account))
}

/** As eth_getProof answers. */
function answerOf(account: Address, { fields }: Claim): unknown {
  return { ...fields, address: account, storageProof: [] }
}

function questionOf(account: Address): AccountQuestion {
  return { address: account, slots: [] }
}

function unverified({ number, fields }: Claim, hash: string): Checked {
  const { balance, nonce, codeHash } = fields
  if (!isQuantity(balance) || !isQuantity(nonce) || typeof codeHash !== 'string') return { kind: 'malformed' }
  return {
    kind: 'state',
    state: {
      number,
      hash,
      balance: quantityOf(BigInt(balance)),
      nonce: quantityOf(BigInt(nonce)),
      codeHash: codeHash.toLowerCase(),
      trust: 'unverified',
    },
  }
}

/** Below 2^256. */
function isQuantity(value: Json | undefined): value is string {
  return typeof value === 'string' && /^0x[0-9a-f]{1,64}$/i.test(value)
}
