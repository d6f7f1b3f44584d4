/**
 * A block's header against its hash: keccak of the RLP of its fields (Yellow Paper, section 4.4).
 *
 * Later forks appended fields, so that a header's form is told by which of them it has: baseFeePerGas (London, EIP-1559),
 * withdrawalsRoot (Shanghai, EIP-4895), blobGasUsed, excessBlobGas (Cancun, EIP-4844), parentBeaconBlockRoot (Cancun,
 * EIP-4788), requestsHash (Prague, EIP-7685). A block with any other field is not judged.
 *
 * Left out: that the chain chose this block. Whoever calls this has the hash from others than the one who answered.
 */
import { bounds } from './bounds.ts'
import {
  data,
  type Fields,
  fieldsOf,
  fixed,
  type Hex,
  type Item,
  isAbsent,
  keccak,
  quantity,
  rlp,
  scalar,
} from './fields.ts'
import { judge, lie, unverifiable, type Verdict } from './verdict.ts'

/** A form is a number of bytes, or one of these. */
type Form = number | 'quantity' | 'data'

/** In the order in which they are hashed. */
const first = {
  parentHash: 32,
  sha3Uncles: 32,
  miner: 20,
  stateRoot: 32,
  transactionsRoot: 32,
  receiptsRoot: 32,
  logsBloom: 256,
  difficulty: 'quantity',
  number: 'quantity',
  gasLimit: 'quantity',
  gasUsed: 'quantity',
  timestamp: 'quantity',
  extraData: 'data',
  mixHash: 32,
  nonce: 8,
} as const satisfies Record<string, Form>

const later = {
  baseFeePerGas: 'quantity',
  withdrawalsRoot: 32,
  blobGasUsed: 'quantity',
  excessBlobGas: 'quantity',
  parentBeaconBlockRoot: 32,
  requestsHash: 32,
} as const satisfies Record<string, Form>

/** What else a block's JSON has: the body, and what nodes add. */
const besides = ['hash', 'size', 'totalDifficulty', 'transactions', 'uncles', 'withdrawals']
const known = new Set([...Object.keys(first), ...Object.keys(later), ...besides])

type Value<F extends Form> = F extends 'quantity' ? bigint : Hex

export type Header = { readonly hash: Hex } & { readonly [Name in keyof typeof first]: Value<(typeof first)[Name]> } & {
  readonly [Name in keyof typeof later]?: Value<(typeof later)[Name]>
}

/** The header of `block` (eth_getBlockByHash or ByNumber, with transactions or their hashes), whose hash must be `hash`. */
export function verifyHeader(block: unknown, hash: Hex): Promise<Verdict<Header>> {
  return judge(() => {
    const fields = fieldsOf(block)
    if (Object.keys(fields).some((name) => !known.has(name))) throw unverifiable('unknown-field')
    const values = new Map<string, Hex | bigint>()
    for (const [name, form] of Object.entries(first)) values.set(name, read(fields[name], form))
    for (const [name, form] of laterFieldsOf(fields)) values.set(name, read(fields[name], form))
    const items = [...values.values()].map((value): Item => (typeof value === 'bigint' ? scalar(value) : value))
    const expected = fixed(hash, 32)
    if (keccak(rlp(items)) !== expected || fixed(fields.hash, 32) !== expected) throw lie('block-hash')
    // The tables above give each name its form, and the type is made of the tables.
    return { hash: expected, ...Object.fromEntries(values) } as Header
  })
}

/** The fields of later forks that it has. A fork has all that came before it. */
function laterFieldsOf(fields: Fields): [string, Form][] {
  const all = Object.entries(later)
  const isThere = ([name]: [string, Form]) => !isAbsent(fields[name])
  const there = all.filter(isThere)
  if (!all.slice(0, there.length).every(isThere)) throw unverifiable('malformed')
  return there
}

function read(value: unknown, form: Form): Hex | bigint {
  if (form === 'quantity') return quantity(value)
  return form === 'data' ? data(value, bounds.extraDataBytes) : fixed(value, form)
}
