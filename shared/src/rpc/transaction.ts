/** The hash under which a raw transaction will be known on its chain. */
import { RLP } from '@ethereumjs/rlp'
import { keccak_256 } from '@noble/hashes/sha3.js'
import { concat, fromHex, hex } from '../bytes/index.ts'
import { NightjarError } from '../errors/index.ts'

const blobType = 0x03

/**
 * The transaction hash of `raw` (0x-prefixed hexadecimal, as in eth_sendRawTransaction), 0x-prefixed.
 * Keccak-256 of the bytes (EIP-2718); a blob transaction's hash leaves out its sidecar (EIP-4844, "Networking").
 * @throws NightjarError `bad-request` where `raw` is not hexadecimal or a malformed blob transaction
 */
export function transactionHash(raw: string): string {
  if (!raw.startsWith('0x')) throw new NightjarError('bad-request', { detail: 'raw transaction' })
  try {
    return `0x${hex(keccak_256(withoutSidecar(fromHex(raw.slice(2)))))}`
  } catch (cause) {
    throw new NightjarError('bad-request', { detail: 'raw transaction', cause })
  }
}

function withoutSidecar(bytes: Uint8Array): Uint8Array {
  if (bytes[0] !== blobType) return bytes
  const fields = RLP.decode(bytes.subarray(1))
  const body = fields[0]
  // Network form: [body, blobs, commitments, proofs]; canonical form: the body's fields themselves.
  return Array.isArray(fields) && Array.isArray(body) ? concat(Uint8Array.of(blobType), RLP.encode(body)) : bytes
}
