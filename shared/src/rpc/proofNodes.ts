/**
 * The nodes of a proof as watches push them: base64, which is a third shorter than the hexadecimal of eth_getProof, so that a
 * proof of mainnet's depth fits eight cells (docs/protocol.md, Watches).
 */
import { base64, fromBase64, fromHex, hex } from '../bytes/index.ts'
import { NightjarError } from '../errors/index.ts'
import type { Json } from './jsonRpc.ts'

/** @param nodes `0x…`, of whole bytes. @throws NightjarError `protocol-violation` where one is not */
export function packNodes(nodes: readonly string[]): string[] {
  return nodes.map((node) => base64(fromHex(node.slice(2))))
}

/** As eth_getProof has them; undefined where `packed` is no list of such texts. */
export function unpackNodes(packed: Json | undefined): string[] | undefined {
  if (!Array.isArray(packed)) return undefined
  try {
    return packed.map((node: Json) => `0x${hex(fromBase64(typeof node === 'string' ? node : '?'))}`)
  } catch (error) {
    // Whoever sent it is to blame, and the caller says so. Else it is a bug of ours.
    if (!(error instanceof NightjarError)) throw error
    return undefined
  }
}
