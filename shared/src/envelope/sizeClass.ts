/**
 * Size classes: sealed records are padded to 1, 2, 4, 8 … cells of payload, so that a size tells the class and no more.
 */
import { partSize } from '../circuit/index.ts'
import { size } from '../crypto/index.ts'
import { NightjarError } from '../errors/index.ts'

/** Bytes of a record outside its text: counter u64, tag, length u32. */
export const recordOverhead = 8 + size.tag + 4

/**
 * The cells of the smallest class that holds `textBytes`, at least `minimum` (itself a class).
 * @throws NightjarError `tooLarge` where that is more than `maximum`
 */
export function sizeClass(
  textBytes: number,
  options: { minimum: number; maximum: number; tooLarge: 'request-too-large' | 'answer-too-large' },
): number {
  let cells = options.minimum
  while (cells * partSize < textBytes + recordOverhead) cells *= 2
  if (cells > options.maximum) throw new NightjarError(options.tooLarge)
  return cells
}

/** Whether `cells` is a class: a power of two, at most `maximum`. */
export function isSizeClass(cells: number, maximum: number): boolean {
  return Number.isInteger(cells) && cells >= 1 && cells <= maximum && Number.isInteger(Math.log2(cells))
}

/** Bytes of a record of `cells`. */
export function recordSize(cells: number): number {
  return cells * partSize
}
