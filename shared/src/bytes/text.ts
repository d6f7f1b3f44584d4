/** Bytes as text and back. UTF-8 is the platform's, base64 and hex are @scure/base's; this adds our typed errors. */
import { base64 as scureBase64, hex as scureHex } from '@scure/base'
import { NightjarError } from '../errors/index.ts'

// The only two platform objects that pure code uses (WHATWG Encoding); named here, as neither DOM nor Node types exist.
declare const TextEncoder: new () => { encode(text: string): Uint8Array }
declare const TextDecoder: new (
  label: string,
  options: { fatal: boolean; ignoreBOM: boolean },
) => { decode(bytes: Uint8Array): string }

const encoder = new TextEncoder()
// `ignoreBOM` leaves a byte order mark in the text; taken away, two byte strings would be one text.
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export function utf8(text: string): Uint8Array {
  return encoder.encode(text)
}

/** @throws NightjarError `protocol-violation` where the bytes are no UTF-8. */
export function fromUtf8(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes)
  } catch (cause) {
    throw new NightjarError('protocol-violation', { detail: 'text is not UTF-8', cause })
  }
}

export function base64(bytes: Uint8Array): string {
  return scureBase64.encode(bytes)
}

/** @throws NightjarError `protocol-violation` where the text is no canonical base64 (RFC 4648, section 4). */
export function fromBase64(text: string): Uint8Array {
  try {
    return scureBase64.decode(text)
  } catch (cause) {
    throw new NightjarError('protocol-violation', { detail: 'text is not base64', cause })
  }
}

export function hex(bytes: Uint8Array): string {
  return scureHex.encode(bytes)
}

/** @throws NightjarError `protocol-violation` where the text is no hexadecimal. */
export function fromHex(text: string): Uint8Array {
  try {
    return scureHex.decode(text.toLowerCase())
  } catch (cause) {
    throw new NightjarError('protocol-violation', { detail: 'text is not hexadecimal', cause })
  }
}
