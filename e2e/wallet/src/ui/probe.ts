/** Asks an endpoint once which chain it serves. */
import type { Hex } from 'viem'

/** @returns what is wrong, for the user; undefined where it serves the chain */
export async function probe(url: string, chainId: Hex): Promise<string | undefined> {
  let found: unknown
  try {
    const response = await fetch(url, {
      method: 'POST',
      credentials: 'omit',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ id: '1', jsonrpc: '2.0', method: 'eth_chainId', params: [] }),
    })
    const answer = (await response.json()) as { result?: unknown }
    found = answer.result
  } catch {
    return 'Could not fetch the chain ID. Is the RPC URL correct?'
  }
  if (found === chainId) return undefined
  return `Chain ID returned by the custom network does not match the submitted chain ID (${String(found)}).`
}
