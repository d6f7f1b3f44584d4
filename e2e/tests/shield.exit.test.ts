/** An exit asked for what it must not do, by a client with no list and no manners: refused with a code, counted, harmless. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import {
  type LocalRelay,
  type Place,
  type Places,
  programPath,
  type RelayPlan,
  startRelays,
  until,
} from '../src/network/index.ts'
import { type ExitClient, openExitClient } from './support/exitClient.ts'
import { memoryOf } from './support/hostile.ts'
import { type PlainServer, startPlainServer } from './support/plainServer.ts'

/** The numbers on the wire (shared/src/errors/codes.ts). */
const code = {
  violation: 1,
  limitReached: 4,
  hostNotListed: 25,
  addressForbidden: 26,
  nameNotFound: 27,
  hostUnreachable: 28,
} as const
const megabyte = 1024 * 1024
const good = 'mainnet.infura.io'
const plan: readonly RelayPlan[] = [
  { name: 'tested', roles: ['exit'], region: 'local' },
  { name: 'other', roles: ['relay'], region: 'local' },
]

/** Addresses that no exit may connect to, as the answer for a name of its own each. */
const forbidden: Readonly<Record<string, readonly string[]>> = {
  'loopback.infura.io': ['127.0.0.1'],
  'ten.infura.io': ['10.0.0.1'],
  'home.infura.io': ['192.168.1.1'],
  'twelve.infura.io': ['172.16.0.1'],
  'carrier.infura.io': ['100.64.0.1'],
  'metadata.infura.io': ['169.254.169.254'],
  'zero.infura.io': ['0.0.0.0'],
  'everybody.infura.io': ['255.255.255.255'],
  'loopback6.infura.io': ['::1'],
  'link6.infura.io': ['fe80::1'],
  'zone6.infura.io': ['fe80::1%lo'],
  'unique6.infura.io': ['fd00::1'],
  'mapped6.infura.io': ['::ffff:127.0.0.1'],
  'hexmapped6.infura.io': ['::ffff:7f00:1'],
  'nat64.infura.io': ['64:ff9b::7f00:1'],
  'sixtofour.infura.io': ['2002:7f00:1::'],
  'several.infura.io': ['127.0.0.1', '::1', '10.0.0.1'],
}

let folder: string
let relays: Awaited<ReturnType<typeof startRelays>>
let exit: LocalRelay
/** Where the listed name leads, and where whatever is forbidden would. */
let host: PlainServer
let trap: PlainServer
let client: ExitClient

function places(changes: Places = {}): Places {
  const trapped = ([name, addresses]: [string, readonly string[]]): [string, Place] => [
    name,
    { addresses, port: trap.port },
  ]
  return {
    [good]: host.port,
    'dead.infura.io': { addresses: ['8.8.8.8'] },
    'mixed.infura.io': { addresses: ['10.0.0.1', '8.8.0.1', '::1'] },
    ...Object.fromEntries(Object.entries(forbidden).map(trapped)),
    ...changes,
  }
}

beforeAll(async () => {
  host = await startPlainServer()
  trap = await startPlainServer()
  folder = await mkdtemp(join(tmpdir(), 'nightjar-exit-'))
  const own = { addresses: plan.map((_, index) => `127.${index + 1}.0.1`), port: trap.port }
  const exitHosts = places({ 'own.infura.io': own })
  relays = await startRelays({ folder, plan, upstreams: {}, tls: 'none', tapped: false, logLevel: 'info', exitHosts })
  exit = relays.all[0] as LocalRelay
  client = await openExitClient(exit, relays.documentFile)
})

afterEach(() => {
  expect(trap.peers).toEqual([])
})

afterAll(async () => {
  client?.close()
  await relays?.stop()
  await rm(folder, { recursive: true, force: true })
  await host?.close()
  await trap?.close()
})

/** The exit is the one from before, and serves. */
async function expectServes(): Promise<void> {
  const health = await fetch(`http://127.0.0.1:${exit.healthPort}/health`)
  expect(await health.json()).toMatchObject({ status: 'ok' })
  const another = await openExitClient(exit, relays.documentFile)
  expect(await another.begin(`${good}:443`)).toBe('connected')
  another.close()
}

test('connects to a listed host on 443, from its own address', async () => {
  const before = host.peers.length
  for (const target of [`${good}:443`, 'MainNet.Infura.IO:443', `${good}.:443`])
    expect(await client.begin(target)).toBe('connected')
  expect(host.peers.slice(before)).toEqual([exit.host, exit.host, exit.host])
})

describe('what is not on the list', () => {
  test.each([
    ['another host', 'evil.example:443'],
    ['a host that only ends like one', 'notinfura.io:443'],
    ['one below another domain', 'infura.io.evil.example:443'],
    ['a name of one label', 'localhost:443'],
    ['the port of SSH', `${good}:22`],
    ['the port of plain HTTP', `${good}:80`],
    ['a port beside', `${good}:8443`],
    ['loopback', '127.0.0.1:443'],
    ['loopback as one number', '2130706433:443'],
    ['loopback in hexadecimal', '0x7f000001:443'],
    ['loopback in octal', '0177.0.0.1:443'],
    ['a private network', '10.0.0.1:443'],
    ['the metadata service', '169.254.169.254:443'],
    ['a public address', '8.8.0.1:443'],
    ['loopback of IPv6', '::1:443'],
    ['loopback of IPv6 in brackets', '[::1]:443'],
    ['link-local of IPv6', '[fe80::1]:443'],
    ['a wildcard', '*.infura.io:443'],
    ['an empty label', 'a..infura.io:443'],
    ['a name beyond ASCII', 'ｍainnet.infura.io:443'],
    ['a name with a space', 'a .infura.io:443'],
    ['a name with a zero', 'evil.example\0.infura.io:443'],
    ['a URL', `https://${good}:443`],
    ['a user', `infura.io@evil.example:443`],
  ])('is refused: %s', async (_, target) => {
    expect(await client.begin(target)).toBe(code.hostNotListed)
  })

  test.each([
    ['nothing', ''],
    ['no port', good],
    ['port 0', `${good}:0`],
    ['a port that is none', `${good}:99999`],
    ['a port in words', `${good}:https`],
    ['two lines', `${good}:443\r\n.infura.io:443`],
  ])('is refused as no target at all: %s', async (_, target) => {
    expect(await client.begin(target)).toBe(code.violation)
  })
})

describe('a listed name', () => {
  test.each(Object.entries(forbidden))('%s that leads to %s is refused', async (name) => {
    expect(await client.begin(`${name}:443`)).toBe(code.addressForbidden)
  })

  test('that leads to the exit itself, or to another relay of this machine, is refused', async () => {
    expect(await client.begin('own.infura.io:443')).toBe(code.addressForbidden)
  })

  test('that does not exist, or whose host does not answer, says so', async () => {
    expect(await client.begin('nowhere.infura.io:443')).toBe(code.nameNotFound)
    expect(await client.begin('dead.infura.io:443')).toBe(code.hostUnreachable)
  })

  test('with good and forbidden addresses is reached at a good one', async () => {
    expect(await client.begin('mixed.infura.io:443')).toBe('connected')
  })

  test('that changes to a forbidden address later is refused from then on', async () => {
    const name = 'rebinding.infura.io'
    const [before, after] = [
      { addresses: ['8.8.9.9'], port: host.port },
      { addresses: ['127.0.0.1'], port: trap.port },
    ]
    await relays.internet?.set(places({ [name]: before }))
    expect(await client.begin(`${name}:443`)).toBe('connected')
    await relays.internet?.set(places({ 'before.infura.io': before, [name]: after }))
    await until(
      'the exit has asked for the name again',
      async () => (await client.begin(`${name}:443`)) !== 'connected',
    )
    expect(await client.begin(`${name}:443`)).toBe(code.addressForbidden)
  })
})

describe('ten thousand streams', () => {
  const total = 10_000
  const standing = (count: number) => until(`${count} connections stand`, () => host.sockets.size === count)

  beforeAll(async () => {
    client.close()
    await standing(0)
  })

  test('of one client: 240 stand, the others are refused, and all is free again when it leaves', async () => {
    const greedy = await openExitClient(exit, relays.documentFile)
    const outcomes = await Promise.all(Array.from({ length: total }, () => greedy.begin(`${good}:443`)))
    expect(outcomes.filter((outcome) => outcome === 'connected')).toHaveLength(240)
    expect(outcomes.filter((outcome) => outcome === code.limitReached)).toHaveLength(total - 240)
    await standing(240)
    greedy.close()
    await standing(0)
    await expectServes()
  })

  test('of many clients: 4096 stand at once, the exit serves on and its memory settles', async () => {
    const flood = async () => {
      await standing(0)
      const clients = await Promise.all(Array.from({ length: 50 }, () => openExitClient(exit, relays.documentFile)))
      const each = Array.from({ length: total / clients.length })
      const outcomes = await Promise.all(clients.flatMap(({ begin }) => each.map(() => begin(`${good}:443`))))
      // More than that got one: whoever has most gives up a quiet one for whoever has less.
      const connected = outcomes.filter((outcome) => outcome === 'connected').length
      expect(connected).toBeGreaterThanOrEqual(4096)
      expect(outcomes.filter((outcome) => outcome === code.limitReached)).toHaveLength(total - connected)
      await standing(4096)
      for (const { close } of clients) close()
    }
    // First until the heap has found its size for this.
    for (let round = 0; round < 9; round++) await flood()
    const settled = memoryOf(exit.process.pid)
    for (let round = 0; round < 3; round++) await flood()
    expect(memoryOf(exit.process.pid) - settled).toBeLessThan(50 * megabyte)
    await expectServes()
  })
})

test('a packaged relay has nothing of the testing one, which takes its Internet from a file', async () => {
  const marker = 'NIGHTJAR_TESTING'
  expect(await readFile(programPath('nightjar-relay'), 'utf8')).not.toContain(marker)
  expect(await readFile(programPath('testing/nightjar-relay'), 'utf8')).toContain(marker)
})
