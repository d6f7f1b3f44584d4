/** Answers changed in one place: what a lie looks like. */
import type { Json } from './vectors.ts'

export type Path = readonly (string | number)[]

/** Where the leaves of `value` are: texts, flags, nulls, and lists that are empty. */
export function leavesOf(value: Json, path: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [path]
  const entries: [string | number, Json][] = Array.isArray(value) ? [...value.entries()] : Object.entries(value)
  return entries.flatMap(([name, each]) => leavesOf(each, [...path, name]))
}

export function at(value: Json, path: Path): Json {
  return path.reduce((whole, name) => (whole as Record<string | number, Json>)[name] as Json, value)
}

/** A copy with something else at `path`. */
export function withAt<T extends Json>(value: T, path: Path, replacement: Json): T {
  if (path.length === 0) return replacement as T
  const copy = structuredClone(value)
  const parent = at(copy, path.slice(0, -1)) as Record<string | number, Json>
  parent[path.at(-1) as string | number] = replacement
  return copy
}

/** A leaf with another meaning. Of a text, the digit at about `position` (0 to 1) is another, by `step` of 15. */
export function changedLeaf(leaf: Json, position: number, step: number): Json {
  if (typeof leaf === 'boolean') return !leaf
  if (typeof leaf === 'number') return leaf + step
  if (typeof leaf !== 'string') return `0x${'11'.repeat(20)}`
  if (leaf === '0x') return '0x11'
  const index = 2 + Math.floor(position * (leaf.length - 2))
  const digit = (Number.parseInt(leaf[index] as string, 16) + step) % 16
  return `${leaf.slice(0, index)}${digit.toString(16)}${leaf.slice(index + 1)}`
}
