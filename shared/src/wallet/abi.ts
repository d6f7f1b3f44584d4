/**
 * The contract ABI's encoding of the few shapes that are taken apart here (Solidity docs, "Contract ABI Specification",
 * strict mode), in hexadecimal digits without 0x.
 *
 * Only the one canonical form is read: offsets ascend without gaps, padding is zero, nothing is left over. So what was
 * read writes back to the same digits, and reading takes one pass. (A general decoder follows offsets wherever they
 * point: 128 kB that all point to one long string took ox 16 seconds.)
 */
import type { Address } from './call.ts'

/** How a type is read and written. */
export interface Type<T> {
  /** Its value is at an offset, behind the words of its neighbours. */
  readonly isDynamic: boolean
  /** @throws NotCanonical */
  read(reader: Reader): T
  write(value: T): string
}

const wordDigits = 64

/** Thrown in here only: `decode` answers undefined. */
class NotCanonical extends Error {}

class Reader {
  readonly #digits: string
  #at = 0

  constructor(digits: string) {
    this.#digits = digits
  }

  /** Digits read so far. */
  get at(): number {
    return this.#at
  }

  get remaining(): number {
    return this.#digits.length - this.#at
  }

  take(count: number): string {
    if (count > this.remaining) throw new NotCanonical()
    this.#at += count
    return this.#digits.slice(this.#at - count, this.#at)
  }

  /** A word that counts something in this text, of which there cannot be more than the text has digits. */
  count(): number {
    const digits = this.take(wordDigits)
    const value = Number(`0x${digits}`)
    if (value > this.#digits.length) throw new NotCanonical()
    return value
  }
}

/** What `digits` say, if they say it canonically and nothing else. */
export function decode<T>(type: Type<T>, digits: string): T | undefined {
  if (/[^0-9a-f]/i.test(digits)) return undefined
  const reader = new Reader(digits)
  try {
    const value = type.read(reader)
    return reader.remaining === 0 ? value : undefined
  } catch (error) {
    if (error instanceof NotCanonical) return undefined
    throw error
  }
}

/** Any word, as its 64 digits. */
export const word: Type<string> = {
  isDynamic: false,
  read: (reader) => reader.take(wordDigits),
  write: (value) => value,
}

export const bool: Type<boolean> = {
  isDynamic: false,
  read: (reader) => {
    const value = reader.count()
    if (value > 1) throw new NotCanonical()
    return value === 1
  },
  write: (value) => numberWord(value ? 1 : 0),
}

export const address: Type<Address> = {
  isDynamic: false,
  read: (reader) => {
    if (!isZero(reader.take(24))) throw new NotCanonical()
    return `0x${reader.take(40).toLowerCase()}`
  },
  write: (value) => value.slice(2).padStart(wordDigits, '0'),
}

/** A byte string, as its digits. */
export const bytes: Type<string> = {
  isDynamic: true,
  read: (reader) => {
    const length = reader.count() * 2
    const value = reader.take(length)
    if (!isZero(reader.take(paddingOf(length)))) throw new NotCanonical()
    return value
  },
  write: (value) => numberWord(value.length / 2) + value + '0'.repeat(paddingOf(value.length)),
}

export function array<T>(item: Type<T>): Type<readonly T[]> {
  return {
    isDynamic: true,
    read: (reader) => {
      const length = reader.count()
      if (length * wordDigits > reader.remaining) throw new NotCanonical()
      // Each item is of the same type.
      return readItems(reader, new Array<Type<T>>(length).fill(item)) as T[]
    },
    write: (items) => numberWord(items.length) + writeItems(new Array<Type<T>>(items.length).fill(item), items),
  }
}

/** A struct, or the arguments or return values of a function: the fields in the order in which they are named. */
export function record<T extends object>(fields: { readonly [K in keyof T]: Type<T[K]> }): Type<T> {
  const names = Object.keys(fields)
  const types: readonly Type<unknown>[] = Object.values(fields)
  return {
    isDynamic: types.some(({ isDynamic }) => isDynamic),
    read: (reader) => {
      const values = readItems(reader, types)
      // Each value is of the type that its name has in `fields`.
      return Object.fromEntries(names.map((name, index) => [name, values[index]])) as T
    },
    write: (value) =>
      writeItems(
        types,
        names.map((name) => value[name as keyof T]),
      ),
  }
}

/** A type whose values are told in another form. */
export function mapped<T, U>(type: Type<T>, to: (value: T) => U, from: (value: U) => T): Type<U> {
  return {
    isDynamic: type.isDynamic,
    read: (reader) => to(type.read(reader)),
    write: (value) => type.write(from(value)),
  }
}

/** The words of all items, in which a dynamic one has its offset from here; then the dynamic ones. */
function readItems(reader: Reader, types: readonly Type<unknown>[]): unknown[] {
  const start = reader.at
  const heads = types.map((type) => (type.isDynamic ? reader.count() * 2 : type.read(reader)))
  return types.map((type, index) => {
    if (!type.isDynamic) return heads[index]
    if (heads[index] !== reader.at - start) throw new NotCanonical()
    return type.read(reader)
  })
}

function writeItems(types: readonly Type<unknown>[], values: readonly unknown[]): string {
  const written = types.map((type, index) => type.write(values[index]))
  const headOf = (index: number): number => (types[index]?.isDynamic ? wordDigits : (written[index] as string).length)
  let offset = written.reduce((sum, _, index) => sum + headOf(index), 0) / 2
  let heads = ''
  let tails = ''
  for (const [index, digits] of written.entries()) {
    if (types[index]?.isDynamic) {
      heads += numberWord(offset)
      tails += digits
      offset += digits.length / 2
    } else heads += digits
  }
  return heads + tails
}

function numberWord(value: number): string {
  return value.toString(16).padStart(wordDigits, '0')
}

/** Digits that fill a byte string up to whole words. */
function paddingOf(length: number): number {
  return (wordDigits - (length % wordDigits)) % wordDigits
}

function isZero(digits: string): boolean {
  return !/[^0]/.test(digits)
}
