/**
 * RLP (Yellow Paper, appendix B), one level at a time.
 *
 * Only the items of one list are found, never what is inside them: a text may hold lists within lists as deep as it is
 * long, and nobody here needs more than two levels.
 */

export interface Item {
  readonly isList: boolean
  /** The item as it stands, header and all. */
  readonly whole: Uint8Array
  /** The string, or the items of the list one after another. */
  readonly content: Uint8Array
}

/** The items that follow one another in `bytes`; undefined where they do not fill it exactly or are more than `most`. */
export function itemsOf(bytes: Uint8Array, most: number): readonly Item[] | undefined {
  const items: Item[] = []
  for (let rest = bytes; rest.length > 0; ) {
    const item = firstItem(rest)
    if (item === undefined || items.length === most) return undefined
    items.push(item)
    rest = rest.subarray(item.whole.length)
  }
  return items
}

function firstItem(bytes: Uint8Array): Item | undefined {
  const first = bytes[0] as number
  if (first < 0x80) return { isList: false, whole: bytes.subarray(0, 1), content: bytes.subarray(0, 1) }
  const isList = first >= 0xc0
  const short = first - (isList ? 0xc0 : 0x80)
  const lengthBytes = Math.max(short - 55, 0)
  let length = short
  if (lengthBytes > 0) {
    if (bytes.length < 1 + lengthBytes) return undefined
    length = bytes.subarray(1, 1 + lengthBytes).reduce((sum, byte) => sum * 256 + byte, 0)
  }
  const start = 1 + lengthBytes
  if (start + length > bytes.length) return undefined
  return { isList, whole: bytes.subarray(0, start + length), content: bytes.subarray(start, start + length) }
}

/** A list of what is encoded already. */
export function listOf(...encoded: readonly Uint8Array[]): Uint8Array {
  const length = encoded.reduce((sum, { length }) => sum + length, 0)
  const header = headerOf(length)
  const list = new Uint8Array(header.length + length)
  list.set(header)
  let at = header.length
  for (const item of encoded) {
    list.set(item, at)
    at += item.length
  }
  return list
}

function headerOf(length: number): Uint8Array {
  if (length <= 55) return Uint8Array.of(0xc0 + length)
  const bytes: number[] = []
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256)
  return Uint8Array.of(0xf7 + bytes.length, ...bytes)
}
