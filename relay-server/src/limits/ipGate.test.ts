import { limits } from '@nightjar/shared/limits'
import { minute, second } from '@nightjar/shared/runtime'
import { FakeClock } from '@nightjar/shared/testing'
import fc from 'fast-check'
import { beforeEach, describe, expect, test } from 'vitest'
import { addressKey, createIpGate } from './ipGate.ts'

let clock: FakeClock
beforeEach(() => {
  clock = new FakeClock()
})
const gateOf = (perMinute: number, atOnce: number) => createIpGate({ clock, perMinute, atOnce })
const repeat = <T>(count: number, run: () => T) => Array.from({ length: count }, run)

describe('new connections of an address', () => {
  test('are so many in any minute, whenever it began', () => {
    const gate = gateOf(20, 100)
    expect(repeat(10, () => gate.admit('192.0.2.1'))).toEqual(repeat(10, () => undefined))
    clock.advance(59 * second)
    expect(repeat(10, () => gate.admit('192.0.2.1'))).toEqual(repeat(10, () => undefined))
    expect(gate.admit('192.0.2.1')).toBe('address-rate')
    expect(gate.admit('192.0.2.2')).toBeUndefined()
    clock.advance(1 * second)
    expect(repeat(11, () => gate.admit('192.0.2.1'))).toEqual([...repeat(10, () => undefined), 'address-rate'])
  })

  test("are as many when the machine's clock is set", () => {
    const gate = gateOf(1, 100)
    gate.admit('192.0.2.1')
    clock.set(10 * minute)
    expect(gate.admit('192.0.2.1')).toBe('address-rate')
    clock.set(-20 * minute)
    clock.advance(minute)
    expect(gate.admit('192.0.2.1')).toBeUndefined()
  })

  test('do not count where they were refused, so that waiting helps', () => {
    const gate = gateOf(1, 100)
    gate.admit('192.0.2.1')
    clock.advance(59 * second)
    expect(gate.admit('192.0.2.1')).toBe('address-rate')
    clock.advance(1 * second)
    expect(gate.admit('192.0.2.1')).toBeUndefined()
  })
})

test('open connections of an address are so many, until one is over', () => {
  const gate = gateOf(1000, 2)
  expect(repeat(3, () => gate.admit('192.0.2.1'))).toEqual([undefined, undefined, 'address-connections'])
  clock.advance(10 * minute)
  expect(gate.admit('192.0.2.1')).toBe('address-connections')
  gate.release('192.0.2.1')
  expect(repeat(2, () => gate.admit('192.0.2.1'))).toEqual([undefined, 'address-connections'])
})

describe('what is remembered', () => {
  test('is forgotten a minute after the last connection came and ended', () => {
    const gate = gateOf(20, 20)
    gate.admit('192.0.2.1')
    gate.admit('192.0.2.2')
    gate.release('192.0.2.2')
    expect(gate.size).toBe(2)
    clock.advance(1 * minute)
    gate.admit('192.0.2.3')
    gate.release('192.0.2.3')
    // The first is still connected.
    expect(gate.size).toBe(2)
    gate.release('192.0.2.1')
    expect(gate.size).toBe(1)
  })

  test('is bounded, however many addresses come', () => {
    const gate = gateOf(1, 1)
    for (let index = 0; index < limits.addressesKept + 100; index++) {
      const address = `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`
      expect(gate.admit(address)).toBeUndefined()
      gate.release(address)
    }
    expect(gate.size).toBe(limits.addressesKept)
    // The newest are still known, the oldest are not.
    expect([gate.admit('10.1.0.99'), gate.admit('10.0.0.0')]).toEqual(['address-rate', undefined])
  })
})

describe('one address', () => {
  test.each([
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2'],
    ['2001:0DB8:0001:0002::1', '2001:db8:1:2'],
    ['2001:db8::1', '2001:db8:0:0'],
    ['2001:db8:1:2::', '2001:db8:1:2'],
    ['::1', '0:0:0:0'],
    ['::', '0:0:0:0'],
    ['1::2:3:4:5:6:7', '1:0:2:3'],
    ['fe80::1%eth0', 'fe80:0:0:0'],
    ['64:ff9b::192.0.2.1', '64:ff9b:0:0'],
  ])('is of %s: %s', (address, key) => {
    expect(addressKey(address)).toBe(key)
  })

  test('is the first half of an IPv6 address, however it is written', () => {
    const groups = fc.array(fc.integer({ min: 0, max: 0xffff }), { minLength: 8, maxLength: 8 })
    fc.assert(
      fc.property(groups, (values) => {
        const written = values.map((value) => value.toString(16))
        const key = written.slice(0, 4).join(':')
        expect(addressKey(written.join(':'))).toBe(key)
        expect(addressKey(written.map((group) => group.padStart(4, '0').toUpperCase()).join(':'))).toBe(key)
        // As the WHATWG URL standard writes it: the longest run of zeros becomes `::`.
        expect(addressKey(new URL(`http://[${written.join(':')}]/`).hostname.slice(1, -1))).toBe(key)
      }),
    )
  })
})
