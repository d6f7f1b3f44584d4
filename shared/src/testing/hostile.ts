/** What tests of decoders need: the code of a failure, and damaged copies of what was well-formed. */
import { type ErrorCode, NightjarError } from '../errors/index.ts'

/**
 * The code of the NightjarError that `run` throws, undefined where it throws none.
 * Anything else that is thrown is a bug of the code under test and goes through to fail the test.
 */
export function codeOf(run: () => unknown): ErrorCode | undefined {
  try {
    run()
    return undefined
  } catch (error) {
    if (error instanceof NightjarError) return error.code
    throw error
  }
}

/** The same for what fails later. */
export async function codeOfAsync(run: () => unknown): Promise<ErrorCode | undefined> {
  try {
    await run()
    return undefined
  } catch (error) {
    if (error instanceof NightjarError) return error.code
    throw error
  }
}

/** A copy with one bit turned over; `bit` counts from the first byte's lowest. */
export function flipBit(bytes: Uint8Array, bit: number): Uint8Array {
  const copy = Uint8Array.from(bytes)
  const index = Math.floor(bit / 8)
  copy[index] = (copy[index] as number) ^ (1 << (bit % 8))
  return copy
}

/** `length` bytes that are neither zero nor all equal. */
export function pattern(length: number, seed = 1): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => ((index + seed) * 31) % 255 || 255)
}
