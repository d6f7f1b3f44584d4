/**
 * Proxies in front of a relay, and whom they say that they speak for. A forwarded-for header is believed as far back as
 * the proxies go that the operator has listed, and not a step further: what stands before may be anybody's invention.
 */
import type { IncomingHttpHeaders } from 'node:http'
import { BlockList, isIP } from 'node:net'
import { limits } from '@nightjar/shared/limits'

export interface Proxies {
  has(address: string): boolean
}

interface Range {
  readonly address: string
  readonly prefix: number
  readonly family: 'ipv4' | 'ipv6'
}

/** Whether `text` is an IP address, or a range of them such as 10.0.0.0/8. */
export function isAddressRange(text: string): boolean {
  return parseRange(text) !== undefined
}

/** Those in `ranges`, of which each must be one. */
export function listProxies(ranges: readonly string[]): Proxies {
  const list = new BlockList()
  for (const text of ranges) {
    const range = parseRange(text)
    if (range !== undefined) list.addSubnet(range.address, range.prefix, range.family)
  }
  return { has: (address) => isIP(address) !== 0 && list.check(address, isIP(address) === 4 ? 'ipv4' : 'ipv6') }
}

/**
 * The client that `peer`, a listed proxy, speaks for: the last address of X-Forwarded-For that is no listed proxy itself,
 * or that of X-Real-IP. Where neither says one, it is the peer: a proxy that tells nothing is one client.
 */
export function forwardedAddress(headers: IncomingHttpHeaders, peer: string, proxies: Proxies): string {
  const forwarded = headers['x-forwarded-for']
  // Node joins X-Forwarded-For, and leaves what it does not know as it came.
  const chain = typeof forwarded === 'string' ? forwarded : headers['x-real-ip']
  if (typeof chain !== 'string') return peer
  for (const part of chain.split(',').slice(-limits.forwardedAddresses).reverse()) {
    const address = plainAddress(part.trim())
    if (isIP(address) === 0) return peer
    if (!proxies.has(address)) return address
  }
  return peer
}

/** IPv4 that came by an IPv6 socket is written as IPv4. */
export function plainAddress(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1]
  return mapped ?? address
}

function parseRange(text: string): Range | undefined {
  const [address = '', bits, ...more] = text.split('/')
  const version = isIP(address)
  if (version === 0 || more.length > 0 || (bits !== undefined && !/^\d{1,3}$/.test(bits))) return undefined
  const longest = version === 4 ? 32 : 128
  const prefix = bits === undefined ? longest : Number(bits)
  return prefix > longest ? undefined : { address, prefix, family: version === 4 ? 'ipv4' : 'ipv6' }
}
