/** The networks that a relay's addresses lie in: /16 for IPv4, /32 for IPv6. Paths take relays of distinct ones. */
import { BlockList, isIP } from 'node:net'
import { NightjarError } from '@nightjar/shared/errors'

const mapped = new BlockList()
mapped.addSubnet('::ffff:0:0', 96, 'ipv6')

/**
 * The distinct networks of the hosts in `urls`, sorted; names are resolved.
 * @throws NightjarError `connect-failed` where a name does not resolve
 */
export async function networksOf(
  urls: readonly string[],
  resolveName: (host: string) => Promise<readonly string[]>,
): Promise<readonly string[]> {
  const networks = new Set<string>()
  for (const url of urls) {
    const host = new URL(url).hostname.replace(/^\[|\]$/g, '')
    const addresses = isIP(host) === 0 ? await resolved(host, resolveName) : [host]
    for (const address of addresses) networks.add(networkOf(address))
  }
  return [...networks].sort()
}

/** `192.0.2.1` → `192.0.0.0/16`, `2001:db8::1` → `2001:db8::/32`; an IPv4 address in IPv6 form counts as IPv4. */
export function networkOf(address: string): string {
  if (isIP(address) === 4) {
    const [a, b] = address.split('.')
    return `${a}.${b}.0.0/16`
  }
  const groups = groupsOf(address)
  if (mapped.check(address, 'ipv6')) {
    const [, , , , , , high = 0] = groups
    return `${high >> 8}.${high & 0xff}.0.0/16`
  }
  const [first = 0, second = 0] = groups
  const prefix = second === 0 ? first.toString(16) : `${first.toString(16)}:${second.toString(16)}`
  return first === 0 && second === 0 ? '::/32' : `${prefix}::/32`
}

/** The eight groups of an IPv6 address (RFC 4291, section 2.2). */
function groupsOf(address: string): readonly number[] {
  // The URL parser writes any form of it in one form: hexadecimal, and `::` for the longest run of zeros.
  const canonical = new URL(`http://[${address.replace(/%.*$/, '')}]`).hostname.slice(1, -1)
  const [head = '', tail] = canonical.split('::')
  const numbers = (text: string) => (text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16)))
  const [left, right] = [numbers(head), numbers(tail ?? '')]
  return [...left, ...new Array<number>(8 - left.length - right.length).fill(0), ...right]
}

async function resolved(
  host: string,
  resolveName: (host: string) => Promise<readonly string[]>,
): Promise<readonly string[]> {
  try {
    return await resolveName(host)
  } catch (cause) {
    throw new NightjarError('connect-failed', { detail: `the name ${host} does not resolve`, cause })
  }
}
