/**
 * Which IP addresses an exit may connect to: those that lead into the public Internet and are not its own. Everything
 * else in the IANA special-purpose registries (RFC 6890 and what came after) would reach into the operator's network, or
 * nowhere.
 */
import { BlockList, isIP } from 'node:net'

const special4 = [
  ['0.0.0.0', 8, 'this network, unspecified'],
  ['10.0.0.0', 8, 'private'],
  ['100.64.0.0', 10, 'carrier-grade NAT'],
  ['127.0.0.0', 8, 'loopback'],
  ['169.254.0.0', 16, 'link-local, cloud metadata'],
  ['172.16.0.0', 12, 'private'],
  ['192.0.0.0', 24, 'protocol assignments'],
  ['192.0.2.0', 24, 'documentation'],
  ['192.88.99.0', 24, '6to4 relays'],
  ['192.168.0.0', 16, 'private'],
  ['198.18.0.0', 15, 'benchmarking'],
  ['198.51.100.0', 24, 'documentation'],
  ['203.0.113.0', 24, 'documentation'],
  ['224.0.0.0', 4, 'multicast'],
  ['240.0.0.0', 4, 'reserved, broadcast'],
] as const

/**
 * Outside of it: loopback, unspecified, unique local, link-local, multicast, discard, and addresses that hold an IPv4 one
 * (mapped ::ffff:0:0/96, compatible ::/96, NAT64 64:ff9b::/96 and 64:ff9b:1::/48).
 */
const global6 = ['2000::', 3] as const

/** What is special within it. */
const special6 = [
  ['2001::', 23, 'protocol assignments: Teredo, benchmarking, ORCHID'],
  ['2001:db8::', 32, 'documentation'],
  ['2002::', 16, '6to4: holds an IPv4 address'],
  ['3fff::', 20, 'documentation'],
] as const

const forbidden = new BlockList()
for (const [net, prefix] of special4) forbidden.addSubnet(net, prefix, 'ipv4')
for (const [net, prefix] of special6) forbidden.addSubnet(net, prefix, 'ipv6')
const global = new BlockList()
global.addSubnet(...global6, 'ipv6')

/** Whether `address` is one of the public Internet. False for what is no address at all, and for one with a zone. */
export function isPublic(address: string): boolean {
  if (address.includes('%')) return false
  switch (isIP(address)) {
    case 4:
      return !forbidden.check(address, 'ipv4')
    case 6:
      return global.check(address, 'ipv6') && !forbidden.check(address, 'ipv6')
    default:
      return false
  }
}

/** Whether `address` is public and none of `own`. */
export function mayConnectTo(address: string, own: readonly string[]): boolean {
  if (!isPublic(address)) return false
  // Compared as numbers: one IPv6 address has many spellings.
  const ours = new BlockList()
  for (const each of own) ours.addAddress(each, familyOf(each))
  return !ours.check(address, familyOf(address))
}

export function familyOf(address: string): 'ipv4' | 'ipv6' {
  return isIP(address) === 6 ? 'ipv6' : 'ipv4'
}
