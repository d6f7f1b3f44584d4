/** The hash of an account's code, as its state holds it (Yellow Paper, section 4.1). */
import { keccak_256 } from '@noble/hashes/sha3.js'
import { fromHex, hex } from '../bytes/index.ts'
import { NightjarError } from '../errors/index.ts'

/**
 * Keccak-256 of `code` (0x-prefixed hexadecimal, as eth_getCode gives it), 0x-prefixed.
 * @throws NightjarError `bad-request` where `code` is not hexadecimal
 */
export function codeHash(code: string): string {
  if (!code.startsWith('0x')) throw new NightjarError('bad-request', { detail: 'code' })
  try {
    return `0x${hex(keccak_256(fromHex(code.slice(2))))}`
  } catch (cause) {
    throw new NightjarError('bad-request', { detail: 'code', cause })
  }
}
