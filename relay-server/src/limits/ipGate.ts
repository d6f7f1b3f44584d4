/**
 * How many connections one address may have: new ones in a minute, and at once. An IPv6 client commands a whole /64, so
 * that counts as one. With workers the process that owns the port has the only gate, and they ask it.
 *
 * Nothing of this is ever written anywhere: an address is forgotten a minute after its last connection has ended.
 */
import { isIP } from 'node:net'
import { limits } from '@nightjar/shared/limits'
import { type Clock, minute } from '@nightjar/shared/runtime'
import { type AddressRefusal, type IpGate, plainAddress } from '@nightjar/shared-node/link'

export interface IpGateOptions {
  readonly clock: Clock
  readonly perMinute: number
  readonly atOnce: number
}

export interface LocalIpGate extends IpGate {
  admit(address: string): AddressRefusal | undefined
  /** Addresses that are known now. */
  readonly size: number
}

export function createIpGate({ clock, perMinute, atOnce }: IpGateOptions): LocalIpGate {
  /** Open connections by address: no more entries than connections. */
  const open = new Map<string, number>()
  /** When each address connected in the last minute, as `Clock.elapsed` counts; who did so last is last. */
  const recent = new Map<string, number[]>()

  function admit(address: string): AddressRefusal | undefined {
    const key = addressKey(address)
    const now = clock.elapsed()
    forgetOld(now)
    if ((open.get(key) ?? 0) >= atOnce) return 'address-connections'
    const times = (recent.get(key) ?? []).filter((time) => now - time < minute)
    if (times.length >= perMinute) return 'address-rate'
    recent.delete(key)
    recent.set(key, [...times, now])
    open.set(key, (open.get(key) ?? 0) + 1)
    return undefined
  }

  function release(address: string): void {
    const key = addressKey(address)
    const left = (open.get(key) ?? 0) - 1
    if (left > 0) open.set(key, left)
    else open.delete(key)
  }

  function forgetOld(now: number): void {
    for (const [key, times] of recent) {
      if (now - (times.at(-1) as number) < minute && recent.size < limits.addressesKept) return
      recent.delete(key)
    }
  }

  return {
    admit,
    release,
    get size() {
      return new Set([...open.keys(), ...recent.keys()]).size
    },
  }
}

/** What counts as one address: an IPv4 address, or the first 64 bits of an IPv6 one. */
export function addressKey(address: string): string {
  const plain = plainAddress(address)
  if (isIP(plain) !== 6) return plain
  const [head = '', tail] = plain.split('%', 1).join().split('::')
  const before = head === '' ? [] : head.split(':')
  // What stands behind `::` reaches into the first half only where the zeros are few.
  const after =
    tail === undefined || tail === ''
      ? []
      : tail.split(':').flatMap((group) => (group.includes('.') ? ['', ''] : [group]))
  const zeros = tail === undefined ? 0 : 8 - before.length - after.length
  const groups = [...before, ...Array.from({ length: zeros }, () => '0'), ...after]
  return groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')
}
