import { concat, u16, utf8 } from '@nightjar/shared/bytes'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { SocksHandshake, type SocksStep } from './socks.ts'

const bytes = (...values: number[]) => Uint8Array.from(values)
const greeting = bytes(5, 1, 0)
const login = (user: string, password: string) =>
  concat(bytes(1, user.length), utf8(user), bytes(password.length), utf8(password))
const request = (host: string, port = 443, command = 1) =>
  concat(bytes(5, command, 0, 3, host.length), utf8(host), u16(port))

/** Pushes one chunk after the other until it is over; all that was said, and what it came to. */
function run(...chunks: Uint8Array[]): { step: SocksStep; said: Uint8Array; unread: number } {
  const handshake = new SocksHandshake()
  let step: SocksStep = { state: 'waiting', reply: bytes() }
  let said = bytes() as Uint8Array
  let index = 0
  while (step.state === 'waiting' && index < chunks.length) {
    step = handshake.push(chunks[index++] as Uint8Array)
    said = concat(said, step.reply)
  }
  return { step, said, unread: chunks.length - index }
}

describe('a SOCKS5 handshake', () => {
  test('without credentials', () => {
    const { step, said } = run(greeting, request('mainnet.infura.io'))
    expect(step).toMatchObject({ state: 'asked', ask: { host: 'mainnet.infura.io', port: 443, credentials: '' } })
    expect(said).toEqual(bytes(5, 0))
  })

  test('with credentials, which are preferred where they are offered, and of which any do', () => {
    const { step, said } = run(bytes(5, 2, 0, 2), login('me', 'secret'), request('infura.io'))
    expect(step).toMatchObject({ state: 'asked', ask: { credentials: '6d65:736563726574' } })
    expect(said).toEqual(bytes(5, 2, 1, 0))
    const moved = run(bytes(5, 1, 2), login('mes', 'ecret'), request('infura.io')).step
    expect(moved).not.toMatchObject({ ask: { credentials: '6d65:736563726574' } })
    expect(run(bytes(5, 1, 2), login('', ''), request('infura.io')).step).toMatchObject({ state: 'asked' })
  })

  test('all at once, with what is for the host behind it', () => {
    const { step, said } = run(concat(bytes(5, 2, 2, 0), login('a', 'b'), request('infura.io', 8443), bytes(22, 3, 1)))
    expect(step).toMatchObject({ ask: { host: 'infura.io', port: 8443 }, rest: bytes(22, 3, 1) })
    expect(said).toEqual(bytes(5, 2, 1, 0))
  })

  test('in any cuts comes to the same', () => {
    const whole = concat(bytes(5, 3, 1, 2, 0), login('user', 'pass'), request('api.etherscan.io'), bytes(1, 2, 3))
    const expected = run(whole)
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: whole.length }), { maxLength: 12 }), (cuts) => {
        const sorted = [0, ...cuts.sort((a, b) => a - b), whole.length]
        const chunks = sorted.slice(1).map((end, index) => whole.subarray(sorted[index], end))
        const { step, said, unread } = run(...chunks)
        if (step.state !== 'asked' || expected.step.state !== 'asked') throw new Error('it did not ask')
        expect(step.ask).toEqual(expected.step.ask)
        expect(said).toEqual(expected.said)
        const early = concat(step.rest, ...chunks.slice(chunks.length - unread))
        expect(early).toEqual(expected.step.rest)
      }),
    )
  })

  test.each<[string, Uint8Array[], number[]]>([
    ['of SOCKS4', [bytes(4, 1)], []],
    ['with no method that we have', [bytes(5, 2, 1, 3)], [5, 255]],
    ['with no method at all', [bytes(5, 0)], [5, 255]],
    ['with a login of another version', [bytes(5, 1, 2), bytes(5)], [5, 2]],
    ['with a request of another version', [greeting, bytes(4)], [5, 0]],
    ['that asks for BIND', [greeting, request('infura.io', 443, 2)], [5, 0, 5, 7, 0, 1, 0, 0, 0, 0, 0, 0]],
    ['that asks for UDP', [greeting, bytes(5, 3)], [5, 0, 5, 7, 0, 1, 0, 0, 0, 0, 0, 0]],
    ['with an unknown kind of address', [greeting, bytes(5, 1, 0, 2)], [5, 0, 5, 8, 0, 1, 0, 0, 0, 0, 0, 0]],
  ])('%s is refused', (_, chunks, expected) => {
    const { step, said } = run(...chunks)
    expect(step.state).toBe('refused')
    expect([...said]).toEqual(expected)
  })

  test.each([
    ['an IPv4 address', concat(bytes(5, 1, 0, 1, 127, 0, 0, 1), u16(443)), '[7f000001]'],
    ['an IPv6 address', concat(bytes(5, 1, 0, 4), new Uint8Array(15), bytes(1), u16(443)), `[${'00'.repeat(15)}01]`],
    ['an empty name', request(''), ''],
    ['a name that is none', concat(bytes(5, 1, 0, 3, 3, 0, 255, 10), u16(443)), '\0\u00ff\n'],
  ])('for %s is told as what it is', (_, asked, host) => {
    expect(run(greeting, asked).step).toMatchObject({ state: 'asked', ask: { host, port: 443 } })
  })

  test('of any bytes in any cuts ends, or waits with less than one message in hand', () => {
    const start = fc.constantFrom(bytes(), bytes(5), greeting, bytes(5, 1, 2), concat(greeting, bytes(5, 1, 0, 3)))
    const chunk = fc.uint8Array({ maxLength: 300 })
    fc.assert(
      fc.property(start, fc.array(chunk, { maxLength: 8 }), (first, chunks) => {
        const { step, said } = run(first, ...chunks)
        expect(said.length).toBeLessThanOrEqual(2 + 2 + 10)
        const given = first.length + chunks.reduce((sum, { length }) => sum + length, 0)
        if (step.state === 'waiting') expect(given).toBeLessThan(2 + 255 + 513 + 262)
      }),
      { numRuns: 500 },
    )
  })
})
