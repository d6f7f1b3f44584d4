import { randomBytes } from 'node:crypto'
import { utf8 } from '@nightjar/shared/bytes'
import { limits } from '@nightjar/shared/limits'
import { second } from '@nightjar/shared/runtime'
import { joinMuxes } from '@nightjar/shared/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { address, ExitStage, host, noneOpen } from './testing/exitStage.ts'

let stage: ExitStage
beforeEach(async () => {
  stage = await ExitStage.set()
})
afterEach(() => stage.end())

describe('a listed host', () => {
  test('is connected to, and what is sent comes through both ways, with both ends', async () => {
    const { stream, received, outcome, end } = stage.ask(`${host}:443`)
    expect(await outcome).toBe('connected')
    const data = randomBytes(300_000)
    stream.send(data, true)
    expect(await end).toBe('done')
    expect(Buffer.concat(received).equals(data)).toBe(true)
    await noneOpen(stage.exit)
    expect(stage.counted()).toEqual({ done: 1 })
    expect([stage.exit.counts.toHosts, stage.exit.counts.fromHosts]).toEqual([data.length, data.length])
  })

  test('is known in any letter case and with the dot of the root', async () => {
    expect(await stage.ask('MAINNET.infura.io.:443').outcome).toBe('connected')
  })

  test('resets come through', async () => {
    stage.server.removeAllListeners('connection')
    stage.server.on('connection', (socket) => socket.on('error', () => {}).once('data', () => socket.resetAndDestroy()))
    const { stream, end } = stage.ask(`${host}:443`)
    stream.send(utf8('hello'), false)
    expect(await end).toBe('connection-reset')
  })
})

describe('what is not listed is refused before anything is asked or dialled', () => {
  test.each([
    'localhost:443',
    '127.0.0.1:443',
    '10.0.0.1:443',
    '169.254.169.254:443',
    '8.8.8.8:443',
    '::1:443',
    '[::1]:443',
    'fe80::1:443',
    '2606:4700::1:443',
    'example.org:443',
    'infura.io.example.org:443',
    'evilinfura.io:443',
    `${host}:22`,
    `${host}:80`,
    `${host}:4430`,
    `${host}..:443`,
    `${host}\0:443`,
    `*.infura.io:443`,
  ])('%j', async (target) => {
    stage.names = new Proxy({}, { get: () => [address] })
    expect(await stage.ask(target).outcome).toBe('host-not-listed')
    expect(stage.dialled).toEqual([])
    expect(stage.counted()).toEqual({ 'host-not-listed': 1 })
  })

  test.each(['', 'infura.io', 'infura.io:', ':443', 'infura.io:0', 'infura.io:65536', 'infura.io:https'])(
    '%j is no target',
    async (target) => {
      expect(await stage.ask(target).outcome).toBe('protocol-violation')
      expect(stage.counted()).toEqual({ 'protocol-violation': 1 })
    },
  )

  test('what the operator took away', async () => {
    const narrowed = stage.open({ policy: { categories: ['rpc', 'wallet'], without: ['mainnet.infura.io'] } })
    const mux = joinMuxes(narrowed.serve())
    stage.names = { 'sepolia.infura.io': [address], 'cx.metamask.io': [address] }
    expect(await stage.ask(`${host}:443`, { mux }).outcome).toBe('host-not-listed')
    expect(await stage.ask('api.etherscan.io:443', { mux }).outcome).toBe('host-not-listed')
    expect(await stage.ask('sepolia.infura.io:443', { mux }).outcome).toBe('connected')
    expect(await stage.ask('cx.metamask.io:443', { mux }).outcome).toBe('connected')
    narrowed.close()
  })

  test('a stream on which what comes back takes no credit', async () => {
    expect(await stage.ask(`${host}:443`, { isFree: true }).outcome).toBe('protocol-violation')
    expect(stage.dialled).toEqual([])
    expect(stage.counted()).toEqual({ 'protocol-violation': 1 })
  })

  test('another service is not its own, and not counted', async () => {
    expect(await stage.ask(`${host}:443`, { service: 'rpc' }).outcome).toBe('unknown-service')
    expect(stage.counted()).toEqual({})
  })
})

describe('addresses', () => {
  test.each([
    ['127.0.0.1'],
    ['10.1.2.3'],
    ['169.254.169.254'],
    ['::1'],
    ['fe80::1'],
    ['::ffff:127.0.0.1'],
    ['64:ff9b::7f00:1'],
    ['2002:7f00:1::1'],
    ['9.9.9.9'],
    ['9.9.9.8'],
  ])('a name that leads to %s alone is refused, and nothing is dialled', async (inner) => {
    stage.names[host] = [inner]
    expect(await stage.ask(`${host}:443`).outcome).toBe('address-forbidden')
    expect(stage.dialled).toEqual([])
    expect(stage.counted()).toEqual({ 'address-forbidden': 1 })
  })

  test('of several only those that are allowed are used', async () => {
    stage.names[host] = ['127.0.0.1', '::1', address, '9.9.9.9']
    expect(await stage.ask(`${host}:443`).outcome).toBe('connected')
    expect(stage.dialled).toEqual([address])
  })

  test('a name that is asked again, and leads inside then, is refused then', async () => {
    stage.resolved = { lifetime: 0 }
    expect(await stage.ask(`${host}:443`).outcome).toBe('connected')
    stage.names[host] = ['127.0.0.1']
    stage.clock.advance(1 * second + 1)
    expect(await stage.ask(`${host}:443`).outcome).toBe('address-forbidden')
    expect(stage.dialled).toEqual([address])
  })

  test('an address that is remembered is checked anew: it may have become our own', async () => {
    const own = ['9.9.9.9']
    const changing = stage.open({ own: () => own })
    const mux = joinMuxes(changing.serve())
    expect(await stage.ask(`${host}:443`, { mux }).outcome).toBe('connected')
    own.push(address)
    expect(await stage.ask(`${host}:443`, { mux }).outcome).toBe('address-forbidden')
    changing.close()
  })

  test('a socket that turns out to be connected inside is closed', async () => {
    const closed = new Promise<void>((resolve) => {
      stage.server.on('connection', (socket) => socket.on('close', () => resolve()))
    })
    stage.reported = () => '127.0.0.1'
    expect(await stage.ask(`${host}:443`).outcome).toBe('address-forbidden')
    expect(stage.dialled).toEqual([address])
    await closed
    expect(stage.counted()).toEqual({ 'address-forbidden': 1 })
  })

  test('a name without addresses, and one that cannot be found out', async () => {
    stage.names[host] = []
    expect(await stage.ask(`${host}:443`).outcome).toBe('name-not-found')
    expect(await stage.ask('nowhere.infura.io:443').outcome).toBe('name-not-found')
    expect(stage.counted()).toEqual({ 'name-not-found': 2 })
  })

  test('at most eight addresses of a name are tried', async () => {
    const refusing = stage.open({
      connect: async (target) => {
        stage.dialled.push(target)
        throw new Error('ECONNREFUSED')
      },
    })
    stage.names[host] = Array.from({ length: 100 }, (_, index) => `8.8.4.${index}`)
    expect(await stage.ask(`${host}:443`, { mux: joinMuxes(refusing.serve()) }).outcome).toBe('host-unreachable')
    expect(stage.dialled).toHaveLength(limits.addressesPerName)
  })
})
