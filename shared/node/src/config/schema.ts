/**
 * Looks into valibot schemas: which keys they know where. Understands what configurations are made of: objects, records,
 * lists, and optional or piped forms of these.
 */
import type * as v from 'valibot'

/** The keys that `schema` knows at `path`; none where it is no object there. */
export function knownKeys(schema: v.GenericSchema, path: readonly unknown[]): readonly string[] {
  let node: object | undefined = unwrap(schema)
  for (const key of path) {
    if (node === undefined) return []
    node = childOf(node, String(key))
  }
  return Object.keys(entriesOf(node) ?? {})
}

/**
 * Every key of `schema` that `value` nowhere has, dotted: `gateway.chains.*.upstreams[].url`. Empty for an example file
 * that is exhaustive.
 */
export function missingKeys(schema: v.GenericSchema, value: unknown): readonly string[] {
  return missing(unwrap(schema), [value], '')
}

/** Where `value` has a list although `schema` wants a mapping: valibot takes a list for an object with numbered keys. */
export function misplacedLists(schema: v.GenericSchema, value: unknown): readonly (readonly string[])[] {
  return misplaced(unwrap(schema), value, [])
}

function misplaced(node: object | undefined, value: unknown, path: readonly string[]): (readonly string[])[] {
  if (node === undefined || !isObject(value)) return []
  const wantsMapping = entriesOf(node) !== undefined || ('key' in node && innerOf(node) !== undefined)
  if (wantsMapping && Array.isArray(value)) return [path]
  return Object.entries(value).flatMap(([key, inner]) => misplaced(childOf(node, key), inner, [...path, key]))
}

/** Several values, as a key counts as there when one element of a list or record has it. */
function missing(node: object | undefined, values: readonly unknown[], prefix: string): string[] {
  if (node === undefined) return []
  const entries = entriesOf(node)
  if (entries !== undefined) {
    return Object.entries(entries).flatMap(([key, child]) => {
      const dotted = prefix === '' ? key : `${prefix}.${key}`
      const found = values.filter(isObject).flatMap((value) => (Object.hasOwn(value, key) ? [value[key]] : []))
      return found.length === 0 ? [dotted] : missing(unwrap(child), found, dotted)
    })
  }
  const inner = innerOf(node)
  if (inner === undefined) return []
  const dotted = 'item' in node ? `${prefix}[]` : `${prefix}.*`
  const found = values.filter(isObject).flatMap((value) => Object.values(value))
  return found.length === 0 ? [dotted] : missing(inner, found, dotted)
}

function childOf(node: object, key: string): object | undefined {
  const entries = entriesOf(node)
  if (entries === undefined) return innerOf(node)
  return Object.hasOwn(entries, key) ? unwrap(entries[key]) : undefined
}

function entriesOf(node: object | undefined): Readonly<Record<string, unknown>> | undefined {
  return node !== undefined && 'entries' in node && isObject(node.entries) ? node.entries : undefined
}

/** What the elements of a list or the values of a record must be. */
function innerOf(node: object): object | undefined {
  if ('item' in node) return unwrap(node.item)
  return 'key' in node && 'value' in node ? unwrap(node.value) : undefined
}

function unwrap(schema: unknown): object | undefined {
  let node = schema
  while (isObject(node) && 'wrapped' in node) node = node.wrapped
  return isObject(node) ? node : undefined
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
