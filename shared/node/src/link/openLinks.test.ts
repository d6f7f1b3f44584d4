import { beforeEach, expect, test } from 'vitest'
import { type LinkOwner, type OpenLink, OpenLinks } from './openLinks.ts'
import { keptCircuit, RecordingTable } from './testing/peers.ts'

const client = (source: string): LinkOwner => ({ source, isRelay: false })
const relay = (source: string): LinkOwner => ({ source, isRelay: true })

let links: OpenLinks
let asked: unknown[]
beforeEach(() => {
  asked = []
  const refusalOf = (...counts: unknown[]) => void asked.push(counts)
  links = new OpenLinks({ ownerOf: () => client('nobody'), refusalOf })
})

/** One more of `owner`, which came then; nobody uses it. */
function open(owner: LinkOwner, since = 0): OpenLink {
  const { table } = new RecordingTable()
  table.remove(keptCircuit)
  const link = { owner, since, table } as OpenLink
  links.add(link)
  return link
}

test('links are counted by source, and those of clients once more', () => {
  const [one] = [open(client('one')), open(client('one')), open(client('two')), open(relay('three'))]
  links.refusalOf(client('one'), 9)
  links.remove(one as OpenLink)
  // One that gave way is closed after that.
  links.remove(one as OpenLink)
  links.refusalOf(client('one'), 9)
  links.refusalOf(relay('three'), 9)
  links.refusalOf(client('four'), 9)
  expect(asked).toEqual([
    [client('one'), { held: 2, ofClients: 3, all: 4 }, 9],
    [client('one'), { held: 1, ofClients: 2, all: 3 }, 9],
    [relay('three'), { held: 1, ofClients: 2, all: 3 }, 9],
    [client('four'), { held: 0, ofClients: 2, all: 3 }, 9],
  ])
  expect([...links].map(({ owner: { source } }) => source)).toEqual(['one', 'two', 'three'])
})

test('the oldest gives way of the source that has most', () => {
  const [few, many] = [open(client('few')), open(client('many'))]
  open(client('many'))
  expect(links.unusedFor(client('new'), 0)).toBe(many)
  links.remove(many)
  expect(links.unusedFor(client('new'), 0)).toBe(few)
})

test('none does that is used, or has just come', () => {
  open(client('many'), 1)
  open(client('many')).table.add(1, { onCell() {}, onLinkClosed() {} })
  expect(links.unusedFor(client('new'), 0)).toBeUndefined()
})

test('nor one of who has less', () => {
  open(client('few'))
  const own = open(client('many'))
  open(client('many'))
  expect(links.unusedFor(client('many'), 0)).toBe(own)
  const used = [...links].filter(({ owner }) => owner.source === 'many')
  for (const { table } of used) table.add(1, { onCell() {}, onLinkClosed() {} })
  expect(links.unusedFor(client('many'), 0)).toBeUndefined()
})

test('nor a relay’s for a client; for a relay a client’s does', () => {
  const ofRelay = open(relay('relay'))
  expect(links.unusedFor(client('new'), 0)).toBeUndefined()
  expect(links.unusedFor(relay('new'), 0)).toBe(ofRelay)
  const [ofClient] = [open(client('client')), open(client('client'))]
  expect(links.unusedFor(relay('new'), 0)).toBe(ofClient)
})
