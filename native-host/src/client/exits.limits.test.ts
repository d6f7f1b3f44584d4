/** What connections to exits may take of the trunks, and what becomes of those that nobody waits for any more. */
import { utf8 } from '@nightjar/shared/bytes'
import { minute, second } from '@nightjar/shared/runtime'
import { codeOfAsync } from '@nightjar/shared/testing'
import { afterEach, describe, expect, test } from 'vitest'
import { watch } from './testing/branches.ts'
import { hopsOf, type Joined, startExits } from './testing/exits.ts'
import type { FakeRelay } from './testing/relay.ts'

const running: { stop(): Promise<void> }[] = []
afterEach(async () => {
  for (const client of running.splice(0)) await client.stop()
})

async function start(...options: Parameters<typeof startExits>) {
  const made = await startExits(...options)
  running.push(made.client)
  const { net, client, exits, connect } = made
  const ask = (group: string) => net.run(client.request({ group, chain: 1, call: { method: 'eth_blockNumber' } }))
  const branches = () => hopsOf(exits).reduce((sum, hops) => sum + hops, 0)
  /** As many sites as there may be, each with a connection that something was sent on just now. */
  const fill = async () => {
    const all: Joined[] = []
    for (let site = 0; site < 20; site++) all.push(await connect(`site ${site}`))
    return all
  }
  return { ...made, ask, branches, fill }
}

describe('a hundred sites at once', () => {
  test('take twenty branches, whoever came first; gateways keep theirs, and get new ones', async () => {
    const { net, client, open, ask, branches, exits } = await start()
    for (let group = 0; group < 40; group++) await ask(`wallet ${group}`)
    expect(client.status().branches).toBe(40)
    const seen = Array.from({ length: 100 }, (_, site) => watch(open(`site ${site}`)))
    await net.settle()
    while (seen.some(({ value, code }) => value === undefined && code === undefined)) await net.settle()
    expect(seen.filter(({ value }) => value !== undefined)).toHaveLength(20)
    expect(new Set(seen.map(({ code }) => code))).toEqual(new Set([undefined, 'too-many-sites']))
    expect([branches(), client.status().branches]).toEqual([20, 60])
    for (let group = 0; group < 50; group++) await ask(`wallet ${group}`)
    expect(branches()).toBe(20)
    // It was nobody's fault.
    for (const { connections } of exits)
      expect(connections.every(({ endedWith }) => endedWith === undefined)).toBe(true)
    expect(client.status().failingGuards).toEqual([])
  })

  test('with one trunk take ten', async () => {
    const { net, client, open, branches } = await start()
    const [kept] = client.status().trunks
    const path = [kept?.entry.name, kept?.middle.name]
    for (const each of net.relays) if (/^r/.test(each.relay.name) && !path.includes(each.relay.name)) each.kill()
    await net.settle()
    expect(client.status().trunks).toHaveLength(1)
    for (let site = 0; site < 20; site++) watch(open(`site ${site}`))
    await net.settle()
    expect(branches()).toBe(10)
  })
})

describe('where all branches to exits are taken', () => {
  test('a new site is refused while something moves on all of them, without another exit being asked', async () => {
    const { connect, fill, branches, asked } = await start()
    await fill()
    const before = asked()
    expect(await codeOfAsync(() => connect('one more'))).toBe('too-many-sites')
    expect([branches(), asked()]).toEqual([20, before])
    // A site that has its branch goes on.
    await connect('site 0')
  })

  test('the one that was quiet for longest gives way, with its connections, and its exit is not blamed', async () => {
    const { net, connect, fill, branches } = await start(1)
    const all = await fill()
    await net.clock.elapse(9 * second)
    for (const [site, { stream }] of all.entries()) if (site !== 3 && site !== 4) stream.send(utf8('x'), false)
    await net.settle()
    await net.clock.elapse(1 * second)
    await connect('one more')
    expect(all.flatMap(({ endedWith }, site) => (endedWith === undefined ? [] : [[site, endedWith]]))).toEqual([
      [3, 'branch-retired'],
    ])
    await connect('and one')
    expect([all[4]?.endedWith, branches()]).toEqual(['branch-retired', 20])
    expect(await codeOfAsync(() => connect('too many'))).toBe('too-many-sites')
    // Passed over, the only exit would be tried once a second.
    await net.clock.elapse(10 * second)
    await Promise.all([connect('site 3'), connect('site 4')])
  })

  test('what comes from the host counts as moving, too', async () => {
    const { net, connect, fill, exits } = await start(1)
    const all = await fill()
    await net.clock.elapse(9 * second)
    for (const { stream } of (exits[0] as FakeRelay).connections.slice(1)) stream.send(utf8('x'), false)
    await net.settle()
    await net.clock.elapse(1 * second)
    await connect('one more')
    expect(all.map(({ endedWith }) => endedWith).filter((code) => code !== undefined)).toEqual(['branch-retired'])
    expect(all[0]?.endedWith).toBe('branch-retired')
  })

  test('one on which nothing runs goes first, at once', async () => {
    const { net, connect, fill, branches } = await start()
    const all = await fill()
    all[7]?.stream.reset('cancelled')
    await net.settle()
    await connect('one more')
    expect(branches()).toBe(20)
    expect(all.map(({ endedWith }) => endedWith)).toEqual(all.map(() => undefined))
  })

  test('a branch whose time is up is used on, and replaced when there is a place', async () => {
    const { net, connect, fill, branches } = await start(1)
    const all = await fill()
    await net.clock.elapse(12 * minute)
    for (const { stream } of all) stream.send(utf8('x'), false)
    await connect('site 0')
    await net.settle()
    expect(all.every(({ endedWith }) => endedWith === undefined)).toBe(true)
    all[7]?.stream.reset('cancelled')
    await connect('one more')
    expect(branches()).toBe(20)
  })
})

describe('a connection that nobody waits for any more', () => {
  test('is ended at the exit, and tried nowhere else', async () => {
    const { net, client, exits, asked } = await start()
    for (const exit of exits) exit.connect = () => new Promise(() => {})
    const gone = new AbortController()
    const order = { group: 'me', host: 'mainnet.infura.io', port: 443, signal: gone.signal }
    const join = () => {
      throw new Error('nobody is there to join')
    }
    const seen = watch(client.connectThrough(order, join))
    await net.settle()
    gone.abort()
    await net.settle()
    expect(seen.code).toBe('cancelled')
    expect(asked().sort()).toEqual([0, 0, 1])
    expect(exits.flatMap(({ connections }) => connections.map(({ endedWith }) => endedWith))).toEqual(['cancelled'])
  })

  test('before its branch stands is never asked for', async () => {
    const { net, client, asked } = await start()
    const order = { group: 'me', host: 'mainnet.infura.io', port: 443, signal: AbortSignal.abort() }
    expect(await codeOfAsync(() => net.run(client.connectThrough(order, () => ({ onData() {}, onEnd() {} }))))).toBe(
      'cancelled',
    )
    expect(asked()).toEqual([0, 0, 0])
  })
})
