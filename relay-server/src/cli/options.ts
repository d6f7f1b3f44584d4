/** Parsers for command-line arguments; what they refuse, commander reports with the option's name. */
import { fromBase64 } from '@nightjar/shared/bytes'
import { size } from '@nightjar/shared/crypto'
import { InvalidArgumentError } from 'commander'

/** A whole number from `least` to `most`. */
export function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (/^\d+$/.test(text) && value >= least && value <= most) return value
    throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`)
  }
}

/** Collects base64 Ed25519 public keys, each of them once. */
export function publicKeys(text: string, previous: readonly Uint8Array[] = []): readonly Uint8Array[] {
  const key = decode(text)
  if (key.length !== size.key) throw new InvalidArgumentError('It must be base64 of 32 bytes.')
  const known = previous.some((other) => Buffer.compare(other, key) === 0)
  return known ? previous : [...previous, key]
}

function decode(text: string): Uint8Array {
  try {
    return fromBase64(text)
  } catch {
    // Reported by the caller, like a wrong length.
    return new Uint8Array(0)
  }
}
