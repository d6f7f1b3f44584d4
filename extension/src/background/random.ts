import type { Crypto } from '@nightjar/shared/crypto'

/** A number in [0, 1) that nobody can foresee. */
export function unforeseen({ randomBytes }: Pick<Crypto, 'randomBytes'>): number {
  return randomBytes(4).reduce((sum, byte) => sum * 256 + byte, 0) / 2 ** 32
}
