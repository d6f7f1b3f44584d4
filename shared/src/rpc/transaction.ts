/** The hash under which a raw transaction will be known on its chain. */
import { keccak_256 } from '@noble/hashes/sha3.js'
import { concat, fromHex, hex, Reader } from '../bytes/index.ts'
import { NightjarError } from '../errors/index.ts'

const blobType = 0x03

/**
 * The transaction hash of `raw` (0x-prefixed hexadecimal, as in eth_sendRawTransaction), 0x-prefixed.
 * Keccak-256 of the bytes (EIP-2718); a blob transaction's hash leaves out its sidecar (EIP-4844, "Networking").
 * @throws NightjarError `bad-request` where `raw` is not hexadecimal or a malformed blob transaction
 */
export function transactionHash(raw: string): string {
  if (!raw.startsWith('0x')) throw bad('raw transaction')
  try {
    return `0x${hex(keccak_256(withoutSidecar(fromHex(raw.slice(2)))))}`
  } catch (cause) {
    throw bad('raw transaction', cause)
  }
}

/**
 * Looks at two headers and decodes nothing: a question may hold lists within lists as deep as it is long, and a decoder
 * that follows them takes seconds.
 */
function withoutSidecar(bytes: Uint8Array): Uint8Array {
  if (bytes[0] !== blobType) return bytes
  const whole = listAt(bytes, 1)
  if (whole === undefined || whole.end !== bytes.length) throw bad('a blob transaction is one list')
  const body = listAt(bytes, whole.start)
  // Network form: [body, blobs, commitments, proofs]; canonical form: the body's fields themselves.
  if (body === undefined) return bytes
  if (body.end > whole.end) throw bad('RLP list longer than the one around it')
  return concat(Uint8Array.of(blobType), bytes.subarray(whole.start, body.end))
}

/** Where the content of the RLP list at `offset` begins and ends; undefined for a string (Yellow Paper, appendix B). */
function listAt(bytes: Uint8Array, offset: number): { start: number; end: number } | undefined {
  const reader = new Reader(bytes.subarray(offset), 'RLP')
  const first = reader.u8('prefix')
  if (first < 0xc0) return undefined
  const lengthBytes = Math.max(first - 0xf7, 0)
  const length = lengthBytes === 0 ? first - 0xc0 : readLength(reader.bytes(lengthBytes, 'length'))
  if (length > reader.remaining) throw bad('RLP list longer than its bytes')
  const start = bytes.length - reader.remaining
  return { start, end: start + length }
}

/** A length is written in the fewest bytes, and only where it is more than 55. */
function readLength(bytes: Uint8Array): number {
  const length = bytes.reduce((sum, byte) => sum * 256 + byte, 0)
  if (bytes[0] === 0 || length <= 55) throw bad('RLP length')
  return length
}

function bad(detail: string, cause?: unknown): NightjarError {
  return new NightjarError('bad-request', { detail, cause })
}
