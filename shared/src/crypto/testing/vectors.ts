/** Reads the vectors, each file of which says where it comes from, and what all parts of the suite need beside them. */
import { readFileSync } from 'node:fs'
import { fromHex } from '../../bytes/index.ts'
import { NightjarError } from '../../errors/index.ts'
import type { Awaitable } from '../crypto.ts'

export function vectors<T>(file: string): T {
  return JSON.parse(readFileSync(new URL(`./vectors/${file}.json`, import.meta.url), 'utf8')) as T
}

/** Fields that are not numbers or names are bytes in hexadecimal. */
export type Named<Field extends string> = { readonly name: string } & Readonly<Record<Field, string>>
export type Numbered<Field extends string> = { readonly tcId: number } & Readonly<Record<Field, string>>

/** As a view into a larger buffer, because that is what callers pass, and an offset is easily forgotten. */
export function bytes(text: string): Uint8Array {
  const content = fromHex(text)
  const around = new Uint8Array(content.length + 16).fill(0xa5)
  around.set(content, 8)
  return around.subarray(8, 8 + content.length)
}

export function counting(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => index)
}

export function flipped(source: Uint8Array, index: number): Uint8Array {
  const copy = Uint8Array.from(source)
  copy[index] = (copy[index] as number) ^ (1 << (index % 8))
  return copy
}

/** The code of the NightjarError that `run` fails with; `undefined` where it does not fail. */
export async function failure(run: () => Awaitable<unknown>): Promise<string | undefined> {
  try {
    await run()
    return undefined
  } catch (error) {
    return error instanceof NightjarError ? error.code : `not typed: ${error}`
  }
}
