/** `nightjar host` as browsers start it, beside a real daemon on a real network: one daemon, whatever happens, for all. */
import { execFileSync } from 'node:child_process'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { until } from '../src/network/index.ts'
import { deploy, echoContract, loudContract, resultOf, sendAndWait } from './support/chain.ts'
import { type ListedRelay, relaysIn } from './support/documents.ts'
import { helloFor } from './support/impostor.ts'
import { openPort, type Port } from './support/nativeHost.ts'
import { useNetwork } from './support/network.ts'

const chain = 31337
const mebibyte = 1024 * 1024
const shared = useNetwork()
const hello = { bridge: 4, version: '0.0.0' }
const ports: Port[] = []

function open(): Port {
  const port = openPort(shared.network.daemon)
  ports.push(port)
  return port
}

afterEach(async () => {
  for (const port of ports) port.end()
  // Whatever a test did, a browser that closes its port is left by a program that ends well.
  expect(await Promise.all(ports.splice(0).map(({ ended }) => ended))).toSatisfy((codes) => codes.every(isZero))
})
afterAll(async () => {
  await shared.network.daemon.run('stop')
})

const isZero = (code: unknown) => code === 0

/** The processes that serve this home. */
function daemons(): number[] {
  const listed = execFileSync('ps', ['axeww', '-o', 'pid=,args='], { encoding: 'utf8', maxBuffer: 64 * mebibyte })
  const ours = listed.split('\n').filter((line) => line.includes(`NIGHTJAR_HOME=${shared.network.daemon.home}`))
  return ours.filter((line) => /nightjar\.js up /.test(line)).map((line) => Number.parseInt(line, 10))
}

async function killDaemon(): Promise<void> {
  const [pid, ...others] = daemons()
  expect(others).toEqual([])
  process.kill(pid as number, 'SIGKILL')
  await until('the daemon is gone', () => daemons().length === 0)
}

async function untilPrivate(): Promise<void> {
  await until('it is private', async () => (await shared.network.daemon.status()).state === 'private')
}

describe('hello', () => {
  test('is answered by the daemon that runs', async () => {
    expect((await open().ask('hello', hello)).result).toMatchObject({ bridge: 4, version: expect.any(String) })
  })

  test('of another version is answered with the daemon’s own, so that the extension knows which is the older', async () => {
    const { result } = await open().ask('hello', { bridge: 999, version: '999.0.0' })
    expect(result).toMatchObject({ bridge: 4 })
  })

  test('that is none ends the connection', async () => {
    const port = open()
    void port.ask('hello', { bridge: 'one' })
    expect(await port.ended).toBe(0)
  })
})

describe('without a daemon', () => {
  test('that was killed: the host ends with it, and the next one starts another', async () => {
    const port = open()
    const before = await port.ask('hello', hello)
    await killDaemon()
    expect(await port.ended).toBe(0)
    const after = await open().ask('hello', hello)
    expect(after.result).toMatchObject({ bridge: 4 })
    // Each daemon has a key of its own.
    expect(after.result).not.toEqual(before.result)
  })

  test('five hosts at the same moment, over the socket of a dead one, find one daemon', async () => {
    await killDaemon()
    const answers = await Promise.all(Array.from({ length: 5 }, () => open().ask('hello', hello)))
    expect(answers[0]?.result).toMatchObject({ bridge: 4, proofKey: expect.any(String) })
    for (const { result } of answers) expect(result).toEqual(answers[0]?.result)
    await until('one daemon is left', () => daemons().length === 1)
  })
})

describe('two browsers', () => {
  const mine = 'a'.repeat(64)
  const yours = 'b'.repeat(64)
  let relays: readonly ListedRelay[]

  beforeAll(async () => {
    relays = await relaysIn(shared.network.relays.documentFile)
    await untilPrivate()
  })

  async function greeted(): Promise<Port> {
    const port = open()
    await port.ask('hello', hello)
    return port
  }

  /** Opens a branch of `group` to its best gateway; the number of it. */
  async function openBranch(port: Port, group: string): Promise<number> {
    const { result } = await port.ask('gateways', { group, chain })
    const [{ relay: gateway }] = result as [{ relay: string }]
    const greeting = helloFor(relays.find(({ id }) => id === gateway)?.envelopeKeyId as Buffer).toString('base64')
    const opened = await port.ask('open', { group, gateway, hello: greeting, hidesMiddle: false })
    expect(opened.error).toBeUndefined()
    return (opened.result as { branch: number }).branch
  }

  const branches = async () => (await shared.network.daemon.status()).branches

  test('have branches of their own, which end with them', async () => {
    const [one, other] = await Promise.all([greeted(), greeted()])
    expect(await openBranch(one, mine)).toBe(1)
    expect(await openBranch(one, yours)).toBe(2)
    expect(await openBranch(other, mine)).toBe(1)
    expect(await branches()).toBe(3)
    // The first one's second branch is no branch of the other.
    const stolen = await other.ask('exchange', { branch: 2, record: Buffer.alloc(3 * 928).toString('base64') })
    expect(stolen.error?.data?.nightjar).toBe('branch-retired')
    await other.ask('close', { branch: 2, failed: false })
    expect(await branches()).toBe(3)
    one.end()
    await one.ended
    await until('its branches are closed', async () => (await branches()) === 1)
    expect((await other.ask('gateways', { group: mine, chain })).error).toBeUndefined()
  })

  test('may use the same label: it names the same gateway for both, and another label its own', async () => {
    const [one, other] = await Promise.all([greeted(), greeted()])
    const labels = Array.from({ length: 16 }, (_, index) => index.toString(16).repeat(64))
    const ranked = (port: Port) => Promise.all(labels.map((group) => port.ask('gateways', { group, chain })))
    const [ofOne, ofOther] = [await ranked(one), await ranked(other)]
    const results = ofOne.map(({ result }) => JSON.stringify(result))
    expect(ofOther.map(({ result }) => JSON.stringify(result))).toEqual(results)
    expect(new Set(results).size).toBeGreaterThan(1)
  })

  test('each hears what changes', async () => {
    const all = await Promise.all([greeted(), greeted()])
    await openBranch(all[0] as Port, mine)
    for (const { events } of all) await until('it is told', () => events.some(({ event }) => event === 'status'))
  })
})

describe('large messages', () => {
  let node: string

  beforeAll(async () => {
    node = shared.network.nodes[chain] as string
    await untilPrivate()
  })

  const rpc = (port: Port, method: string, ...params: unknown[]) => port.ask('rpc', { chain, method, params })

  test('of more than one part come through whole, both ways', async () => {
    const echo = await deploy(node, echoContract)
    const data = `0x00${'5a'.repeat(400_000)}`
    expect((await rpc(open(), 'eth_call', { to: echo, data }, 'latest')).result === data).toBe(true)
  })

  test('an answer of more than 5 MiB is the node’s', async () => {
    const address = await deploy(node, loudContract)
    const { blockNumber: fromBlock } = await sendAndWait(node, { to: address })
    for (let count = 0; count < 4; count++) await sendAndWait(node, { to: address })
    const filter = { address, fromBlock, toBlock: 'latest' }
    const text = JSON.stringify((await rpc(open(), 'eth_getLogs', filter)).result)
    expect(text.length).toBeGreaterThan(5 * mebibyte)
    expect(text === JSON.stringify(await resultOf(node, 'eth_getLogs', [filter]))).toBe(true)
  })

  test('a question of more than 5 MiB is read to its end and refused with a code; the next one is answered', async () => {
    const port = open()
    const { error } = await rpc(port, 'eth_call', { data: `0x${'00'.repeat(3 * mebibyte)}` }, 'latest')
    expect(error?.data?.nightjar).toBe('request-too-large')
    expect((await rpc(port, 'eth_chainId')).result).toBe('0x7a69')
  })
})
