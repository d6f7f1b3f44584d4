/** Calls as nobody sends them. */
import fc from 'fast-check'
import { toFunctionSelector } from 'viem'
import type { Call, Json } from '../call.ts'
import { abi } from './node.ts'

const methods = [
  ...['eth_call', 'eth_estimateGas', 'eth_getLogs', 'eth_sendRawTransaction', 'eth_sendTransaction', 'eth_accounts'],
  ...['eth_getBalance', 'eth_getTransactionCount', 'eth_getBlockByNumber', 'eth_feeHistory', 'eth_simulateV1', 'x'],
]
const selectors = abi.flatMap((item) => (item.type === 'function' ? [toFunctionSelector(item)] : []))
const digits = fc
  .uint8Array({ maxLength: 300 })
  .map((bytes) => [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(''))
const words = fc
  .array(fc.oneof(fc.nat(200), fc.bigInt({ min: 0n, max: 2n ** 256n - 1n })), { maxLength: 20 })
  .map((values) => values.map((value) => value.toString(16).padStart(64, '0')).join(''))
const text = fc.oneof(
  fc.string({ unit: 'binary' }),
  digits.map((some) => `0x${some}`),
  fc.tuple(fc.constantFrom(...selectors), fc.oneof(words, digits)).map((parts) => parts.join('')),
  fc.tuple(fc.constantFrom('0x01', '0x02', '0x03', '0x04', '0xf8', '0xc0'), digits).map((parts) => parts.join('')),
  fc.constantFrom(
    'latest',
    'pending',
    '0x',
    '0x1',
    `0x${'ca11'.repeat(10)}`,
    '0xca11bde05977b3631167028862be2a173976ca11',
  ),
)
const field = fc.constantFrom(
  'from',
  'to',
  'data',
  'input',
  'address',
  'topics',
  'fromBlock',
  'toBlock',
  'blockHash',
  'x',
)

export const anyJson: fc.Arbitrary<Json> = fc.letrec<{ any: Json }>((tie) => ({
  any: fc.oneof(
    { maxDepth: 4 },
    text,
    fc.jsonValue() as fc.Arbitrary<Json>,
    fc.array(tie('any'), { maxLength: 4 }),
    fc.dictionary(fc.oneof(field, text), tie('any'), { maxKeys: 6 }),
  ),
})).any

export const anyCall: fc.Arbitrary<Call> = fc.oneof(
  fc.record({
    method: fc.oneof(fc.constantFrom(...methods), fc.string()),
    params: fc.array(anyJson, { maxLength: 4 }),
  }),
  fc.record(
    { method: fc.constantFrom(...methods), params: fc.dictionary(field, anyJson) },
    { requiredKeys: ['method'] },
  ),
)

/** A message call or filter among the parameters, which random values seldom make. */
export const anyMessage: fc.Arbitrary<Call> = fc.record({
  method: fc.constantFrom('eth_call', 'eth_estimateGas', 'eth_getLogs', 'eth_sendTransaction'),
  params: fc.tuple(fc.dictionary(field, anyJson), anyJson),
})
