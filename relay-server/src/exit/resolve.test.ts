import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { limits } from '@nightjar/shared/limits'
import { second } from '@nightjar/shared/runtime'
import { FakeClock, turn } from '@nightjar/shared/testing'
import { beforeEach, expect, test } from 'vitest'
import { type Resolved, rememberNames, resolveBySystem } from './resolve.ts'

let clock: FakeClock
let asked: string[]
let answer: () => Promise<Resolved>

beforeEach(() => {
  clock = new FakeClock()
  asked = []
})

function names() {
  return rememberNames((host) => {
    asked.push(host)
    return answer()
  }, clock)
}

test.each([
  ['as long as the name server says', 30 * second, 30 * second],
  ['not for ever', Number.MAX_SAFE_INTEGER, limits.nameLifetime],
  ['a second at least', 0, 1 * second],
])('an answer is remembered %s', async (_, lifetime, kept) => {
  answer = async () => ({ addresses: ['8.8.8.8'], lifetime })
  const resolve = names()
  expect(await resolve('a.example')).toEqual(['8.8.8.8'])
  clock.advance(kept - 1)
  expect(await resolve('a.example')).toEqual(['8.8.8.8'])
  expect(asked).toHaveLength(1)
  clock.advance(2)
  await resolve('a.example')
  expect(asked).toHaveLength(2)
})

test('many who ask at once are one question', async () => {
  const { promise, resolve: settle } = Promise.withResolvers<Resolved>()
  answer = () => promise
  const resolve = names()
  const all = [resolve('a.example'), resolve('a.example'), resolve('a.example')]
  settle({ addresses: ['8.8.8.8'], lifetime: 0 })
  expect(await Promise.all(all)).toEqual([['8.8.8.8'], ['8.8.8.8'], ['8.8.8.8']])
  expect(asked).toEqual(['a.example'])
})

test('a failure is no address, for two seconds', async () => {
  answer = () => Promise.reject(new Error('SERVFAIL'))
  const resolve = names()
  expect(await resolve('a.example')).toEqual([])
  expect(await resolve('a.example')).toEqual([])
  expect(asked).toHaveLength(1)
  clock.advance(2 * second + 1)
  answer = async () => ({ addresses: ['8.8.8.8'], lifetime: 0 })
  expect(await resolve('a.example')).toEqual(['8.8.8.8'])
})

test('memory is bounded: the name that was used least lately goes first', async () => {
  answer = async () => ({ addresses: ['8.8.8.8'], lifetime: 60 * second })
  const resolve = names()
  for (let n = 0; n <= limits.cachedNames; n++) await resolve(`${n}.example`)
  asked = []
  await resolve('1.example')
  expect(asked).toEqual([])
  await resolve('0.example')
  expect(asked).toEqual(['0.example'])
})

/** A name server on loopback that knows one name, and says of the others that they do not exist. */
async function nameServer(records: { a?: [number, string]; aaaa?: [number, string] | 'silent' | 'broken' }) {
  const [typeA, typeAaaa, serverFailure, nameError] = [1, 28, 2, 3]
  const socket = createSocket('udp4')
  socket.on('message', (query, { port, address }) => {
    const end = query.indexOf(0, 12) + 5
    const type = query.readUInt16BE(end - 4)
    if (type === typeAaaa && records.aaaa === 'silent') return
    const isBroken = type === typeAaaa && records.aaaa === 'broken'
    const isKnown = query.includes('mainnet')
    const answer = type === typeA ? records.a : type === typeAaaa ? records.aaaa : undefined
    const found = typeof answer === 'string' ? undefined : answer
    const header = Buffer.from(query.subarray(0, 12))
    header.writeUInt16BE(0x8180 + (isBroken ? serverFailure : isKnown ? 0 : nameError), 2)
    header.writeUInt16BE(isKnown && found !== undefined ? 1 : 0, 6)
    header.fill(0, 8)
    const parts = [header, query.subarray(12, end)]
    if (isKnown && found !== undefined) {
      const [ttl, data] = found
      const fixed = Buffer.from('c00c0000000100000000' + '0000', 'hex')
      fixed.writeUInt16BE(type, 2)
      fixed.writeUInt32BE(ttl, 6)
      fixed.writeUInt16BE(data.length / 2, 10)
      parts.push(fixed, Buffer.from(data, 'hex'))
    }
    socket.send(Buffer.concat(parts), port, address)
  })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  return { server: `127.0.0.1:${socket.address().port}`, close: () => socket.close() }
}

const v4 = '08080404'
const v6 = '20014860486000000000000000008844'

test.each<[string, Parameters<typeof nameServer>[0], Resolved]>([
  [
    'both families',
    { a: [60, v4], aaaa: [30, v6] },
    { addresses: ['2001:4860:4860::8844', '8.8.4.4'], lifetime: 30 * second },
  ],
  ['IPv4 alone', { a: [60, v4] }, { addresses: ['8.8.4.4'], lifetime: 60 * second }],
  // Not known to be all there is, so it is asked for again soon.
  ['IPv6 in vain', { a: [60, v4], aaaa: 'broken' }, { addresses: ['8.8.4.4'], lifetime: 2 * second }],
  ['IPv6 alone', { aaaa: [0, v6] }, { addresses: ['2001:4860:4860::8844'], lifetime: 0 }],
])('the system is asked for %s, and for how long it holds', async (_, records, expected) => {
  const { server, close } = await nameServer(records)
  expect(await resolveBySystem(clock, [server])('mainnet.infura.io')).toEqual(expected)
  close()
})

test('an answer for IPv6 that never comes holds the one for IPv4 back for 50 ms, and is asked for again soon', async () => {
  const { server, close } = await nameServer({ a: [60, v4], aaaa: 'silent' })
  const resolved = resolveBySystem(clock, [server])('mainnet.infura.io')
  while (clock.pending === 0) await turn()
  let isResolved = false
  void resolved.then(() => {
    isResolved = true
  })
  clock.advance(49)
  await turn()
  expect(isResolved).toBe(false)
  clock.advance(1)
  expect(await resolved).toEqual({ addresses: ['8.8.4.4'], lifetime: 2 * second })
  close()
})

test('a name that does not exist, or has no address, is an error', async () => {
  const { server, close } = await nameServer({})
  await expect(resolveBySystem(clock, [server])('mainnet.infura.io')).rejects.toThrow()
  await expect(resolveBySystem(clock, [server])('nowhere.infura.io')).rejects.toThrow()
  close()
})
