/** Who sees which accounts: gateways by what they open (a view file), and their provider by what they ask it. */
import { readFileSync } from 'node:fs'
import type { Hex } from 'viem'
import { type LocalNetwork, type LocalRelay, viewFileIn } from '../../src/network/index.ts'

interface Line {
  /** Process and number of the circuit: one branch, one envelope session. */
  readonly circuit: string
  readonly method: string
}

/** Names under which accounts are asked for, in lower case: an address, or the hash or text of a transaction. */
export type Names = ReadonlyMap<string, Hex>

/** Accounts by branch, as the gateways see them. */
export function accountsByBranch(network: LocalNetwork, names: Names): ReadonlyMap<string, ReadonlySet<Hex>> {
  return group(
    linesOf(network).map(({ line, circuit }) => [circuit, line]),
    names,
  )
}

/** Accounts by gateway: what its log would hold if it kept one. */
export function accountsByGateway(network: LocalNetwork, names: Names): ReadonlyMap<string, ReadonlySet<Hex>> {
  return group(
    linesOf(network).map(({ line, circuit }) => [circuit.split(' ')[0] as string, line]),
    names,
  )
}

/** Accounts by the address from which the provider of `chain` is asked for them. */
export function accountsByProvider(
  network: LocalNetwork,
  chain: number,
  names: Names,
): ReadonlyMap<string, ReadonlySet<Hex>> {
  return group(
    (network.providers[chain]?.seen ?? []).map(({ from, body }) => [from, body]),
    names,
  )
}

/** Methods that any gateway was asked with. */
export function methodsSeen(network: LocalNetwork): ReadonlySet<string> {
  return new Set(linesOf(network).map(({ method }) => method))
}

/** Gateways of which new blocks have been followed, those that were asked last at the end. */
export function headGateways(network: LocalNetwork): readonly LocalRelay[] {
  const asked = linesOf(network).filter(({ method }) => method === 'eth_subscribe')
  const found = asked.flatMap(({ circuit }) => {
    return network.relays.all.filter(({ process }) => String(process.pid) === circuit.split(' ')[0])
  })
  return [...new Set(found.reverse())].reverse()
}

function linesOf(network: LocalNetwork): readonly (Line & { readonly line: string })[] {
  const lines = readFileSync(viewFileIn(network.folder), 'utf8').split('\n')
  return lines.filter((line) => line !== '').map((line) => ({ ...(JSON.parse(line) as Line), line }))
}

function group(said: readonly (readonly [string, string])[], names: Names): ReadonlyMap<string, ReadonlySet<Hex>> {
  const groups = new Map<string, Set<Hex>>()
  for (const [key, text] of said) {
    const lower = text.toLowerCase()
    for (const [name, account] of names) {
      if (lower.includes(name.replace(/^0x/, ''))) groups.set(key, (groups.get(key) ?? new Set()).add(account))
    }
  }
  return groups
}
