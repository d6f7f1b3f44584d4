import { pattern } from '@nightjar/shared/testing'
import type { LinkOwner } from '@nightjar/shared-node/link'
import { expect, test } from 'vitest'
import { describeRelay } from '../relay/testing/memoryNetwork.ts'
import { limits } from './limits.ts'
import { createLinkShares } from './linkShares.ts'

const identity = pattern(32)
const listed = describeRelay('listed', identity, 0)
const shares = createLinkShares({ findRelay: (asked) => (asked === identity ? listed : undefined) })

/** Opens links of each owner in turn, again and again, until none of them gets another one; how many each has. */
function fill(most: number, owners: readonly LinkOwner[], have = owners.map(() => 0)): number[] {
  const sum = (counts: readonly number[]) => counts.reduce((one, other) => one + other, 0)
  const ofClients = () => sum(have.filter((_, index) => owners[index]?.isRelay === false))
  const gets = (owner: LinkOwner, held: number) =>
    shares.refusalOf(owner, { held, ofClients: ofClients(), all: sum(have) }, most) === undefined
  for (let before = -1; before !== sum(have); ) {
    before = sum(have)
    for (const [index, owner] of owners.entries()) if (gets(owner, have[index] as number)) (have[index] as number) += 1
  }
  return have
}

const from = (address: string) => shares.ownerOf(address, undefined)
const range = <T>(count: number, make: (index: number) => T) => Array.from({ length: count }, (_, index) => make(index))
const relays = (count: number) => range(count, (index) => ({ source: `relay ${index}`, isRelay: true }))

test('a /48 is one source, and so is a relay of the network wherever it comes from', () => {
  expect(from('2001:db8:1:2::3')).toEqual(from('2001:db8:1:4::5'))
  expect(from('2001:db8:1:2::3')).not.toEqual(from('2001:db8:2:2::3'))
  const relay = { source: `relay ${listed.id}`, isRelay: true }
  expect([shares.ownerOf('192.0.2.1', identity), shares.ownerOf('192.0.2.2', identity)]).toEqual([relay, relay])
  // One that the document does not list is whoever has that address.
  expect(shares.ownerOf('192.0.2.1', pattern(32).reverse())).toEqual(from('192.0.2.1'))
})

// Found by review: one customer's /48 had them all, and relays none.
test('one source takes a ninth of what clients may have, and leaves the rest to others', () => {
  expect(fill(limits.connections, [from('2001:db8:1::1')])).toEqual([105])
  const crowd = range(200, (index) => from(`198.51.100.${index}`))
  const have = fill(limits.connections, [from('2001:db8:1::1'), ...crowd], [105, ...crowd.map(() => 0)])
  expect(Math.min(...have)).toBeGreaterThanOrEqual(3)
})

test('a machine with an address has all that it may have at once until half of them are taken', () => {
  const others = range(400, (index) => from(`10.0.${index >> 8}.${index & 255}`))
  const natted = from('192.0.2.1')
  const have = { held: limits.connectionsPerAddress - 1, ofClients: 450, all: 450 }
  expect(shares.refusalOf(natted, have, limits.connections)).toBeUndefined()
  expect(new Set(fill(limits.connections, others).map((count) => count > 0))).toEqual(new Set([true]))
})

test('as many clients as there are places for get one each', () => {
  const clients = range(1000, (index) => from(`10.0.${index >> 8}.${index & 255}`))
  const have = fill(limits.connections, clients)
  expect(have.filter((count) => count === 1).length).toBe(938)
  const counts = { held: 0, ofClients: 938, all: 938 }
  expect(shares.refusalOf(from('192.0.2.1'), counts, limits.connections)).toBe('connections')
  expect(shares.refusalOf(from('192.0.2.1'), { held: 43, ofClients: 600, all: 600 }, limits.connections)).toBe(
    'connection-share',
  )
})

test('where clients have all that they may, relays still come in', () => {
  const clients = range(938, (index) => from(`10.0.${index >> 8}.${index & 255}`))
  const have = fill(
    limits.connections,
    [...clients, ...relays(40)],
    [...clients.map(() => 1), ...relays(40).map(() => 0)],
  )
  expect([Math.min(...have.slice(0, 938)), Math.min(...have.slice(938))]).toEqual([1, 1])
})

test('where there are few, none is kept, and each may have one', () => {
  expect(fill(2, [from('192.0.2.1'), from('192.0.2.2')])).toEqual([1, 1])
})

// Found by review: eight workers that share a hundred kept none.
test('one is kept as soon as there are eight', () => {
  const clients = range(12, (index) => from(`10.0.0.${index}`))
  expect(fill(12, clients).filter((count) => count > 0)).toHaveLength(11)
  expect(fill(7, clients).filter((count) => count > 0)).toHaveLength(7)
})
