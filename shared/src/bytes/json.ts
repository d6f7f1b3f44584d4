/** JSON from a peer: the platform's parser, with typed errors and a bound that it lacks. */
import { NightjarError, violation } from '../errors/index.ts'
import { limits } from '../limits.ts'
import { fromUtf8 } from './text.ts'

const quote = 0x22
const backslash = 0x5c
/** `[` and `{`, `]` and `}`: they differ in this bit alone. */
const curly = 0x20
const opening = 0x5b | curly
const closing = 0x5d | curly

/**
 * The value of JSON in UTF-8.
 * @throws NightjarError `protocol-violation` where it is none, or nests deeper than `limits.jsonDepth`: JSON.parse takes
 * any depth, but JSON.stringify and whoever else walks the value runs out of stack.
 */
export function fromJson(bytes: Uint8Array): unknown {
  if (isTooDeep(bytes)) throw violation('JSON nests too deep')
  const text = fromUtf8(bytes)
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new NightjarError('protocol-violation', { detail: 'text is not JSON', cause })
  }
}

/** Counts brackets outside of strings; all of JSON's own characters are ASCII, so bytes will do. */
function isTooDeep(bytes: Uint8Array): boolean {
  let depth = 0
  let inString = false
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i] as number
    if (byte === quote) inString = !inString
    else if (inString) i += byte === backslash ? 1 : 0
    else if ((byte | curly) === opening) depth += 1
    else if ((byte | curly) === closing) depth -= 1
    if (depth > limits.jsonDepth) return true
  }
  return false
}
