/**
 * The published list of hosts that exits carry and the shield catches: suffixes by category, in hosts.json with a source
 * and a date each. "infura.io" stands for itself and every name below it, on port 443 only.
 *
 * Names are compared as DNS does. What is no plain host name (an IP address, a wildcard, anything beyond ASCII) is never
 * listed, so a list cannot lead to an address past the resolver of the exit.
 */
import { concat, utf8 } from '../bytes/index.ts'
import type { Hash } from '../crypto/index.ts'
import file from './hosts.json' with { type: 'json' }

/** What a host is to a wallet. */
export const categories = ['wallet', 'rpc', 'explorer', 'price', 'bridge', 'phishing-list'] as const
export type Category = (typeof categories)[number]

export interface ListedHost {
  readonly suffix: string
  readonly category: Category
}

/** The only port of listed hosts: HTTPS and wss. */
export const listedPort = 443

const digestLabel = utf8('nightjar-1 host list\0')

/** Sorted by suffix; a test holds the file to its form. */
export const hostList: readonly ListedHost[] = file.hosts.map(({ suffix, category }) => ({
  suffix,
  // The file's own text; a test compares it with `categories`.
  category: category as Category,
}))

/** The day it was last gone through, as YYYY-MM-DD. */
export const listDate: string = file.date

/**
 * The name as lists and resolvers know it: lower case, without the dot of the root. Undefined where it is no host name.
 * Underscores are none by RFC 952, but names with them are served and browsers ask for them.
 */
export function normaliseHost(name: string): string | undefined {
  const bare = name.endsWith('.') ? name.slice(0, -1) : name
  if (bare.length > 253 || !/^[\w-]{1,63}(?:\.[\w-]{1,63})+$/.test(bare)) return undefined
  if (/(?:^|\.)-|-(?:\.|$)/.test(bare)) return undefined
  // Numbers at the end make it an IPv4 address in one of its many spellings (WHATWG URL, "ends in a number").
  return /\.(?:[0-9]+|0[xX][0-9a-fA-F]*)$/.test(bare) ? undefined : bare.toLowerCase()
}

/** Whether `host`, normalised, is `suffix` or below it. */
export function isBelow(host: string, suffix: string): boolean {
  return host.endsWith(suffix) && (host.length === suffix.length || host[host.length - suffix.length - 1] === '.')
}

/** The entry that covers `name`; of several the one with the longest suffix. */
export function findHost(name: string, list: readonly ListedHost[] = hostList): ListedHost | undefined {
  const host = normaliseHost(name)
  if (host === undefined) return undefined
  let found: ListedHost | undefined
  for (const entry of list) {
    if (entry.suffix.length > (found?.suffix.length ?? 0) && isBelow(host, entry.suffix)) found = entry
  }
  return found
}

/**
 * SHA-256 of the list, by which a client knows whether an exit has the same: a label, then a line `suffix SP category LF`
 * for each entry, sorted by suffix. Sources and dates do not count.
 */
export function listDigest(sha256: Hash['sha256'], list: readonly ListedHost[] = hostList): Uint8Array {
  const lines = list.map(({ suffix, category }) => `${suffix} ${category}\n`).sort()
  return sha256(concat(digestLabel, utf8(lines.join(''))))
}
