import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { base64 } from '@nightjar/shared/bytes'
import { CircuitTable } from '@nightjar/shared/circuit'
import type { SigningKey } from '@nightjar/shared/crypto'
import { nobleCrypto as crypto } from '@nightjar/shared/crypto/noble'
import { encodePayload, signPayload } from '@nightjar/shared/directory'
import { day, minute } from '@nightjar/shared/runtime'
import { codeOfAsync } from '@nightjar/shared/testing'
import { dialLink } from '@nightjar/shared-node/link'
import type { LogFacts } from '@nightjar/shared-node/log'
import { systemClock } from '@nightjar/shared-node/process'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { relayConfig } from '../cli/testing/harness.ts'
import { createKeys } from '../keys.ts'
import type { RelayContext } from '../server.ts'
import { type Life, startLife } from './life.ts'

let folder: string
let configFile: string
let life: Life | undefined
/** By how much the relay's clock is ahead of the time that its keys were made at. */
let ahead: number
let logged: { readonly message: string; readonly facts: LogFacts | undefined }[]
const servers: Server[] = []

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nightjar-life-'))
  configFile = join(folder, 'one.yaml')
  ahead = 0
  logged = []
  await mkdir(join(folder, 'one'))
  await makeKeys()
  await configure({})
})
afterEach(async () => {
  await life?.stop(AbortSignal.abort())
  life = undefined
  for (const server of servers.splice(0)) server.close()
  await rm(folder, { recursive: true })
})

const makeKeys = () =>
  createKeys(
    crypto,
    { identity_file: join(folder, 'one/identity.key'), onion_keys_file: join(folder, 'one/onion.keys') },
    { now: systemClock.now() },
  )

async function configure(change: Record<string, unknown>): Promise<void> {
  const admin = { health_port: 0, metrics_port: 0 }
  await writeFile(configFile, stringify({ ...relayConfig('one'), admin, drain_timeout: 0, ...change }))
}

const context: RelayContext = {
  crypto,
  clock: { ...systemClock, now: () => systemClock.now() + ahead },
  software: 'nightjar-relay test',
  dial: () => Promise.reject(new Error('nobody is dialled here')),
  resolve: () => Promise.reject(new Error('nor asked for')),
  connectFrom: () => () => Promise.reject(new Error('nor connected to')),
}

async function start(): Promise<Life> {
  const note = (message: string, facts?: LogFacts) => void logged.push({ message, facts })
  const log = { debug: note, info: note, warn: note, error: note, setLevel() {} }
  life = await startLife(configFile, context, () => log)
  return life
}

const factsOf = (message: string) => logged.find((each) => each.message === message)?.facts

async function take(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  servers.push(server)
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

describe('a port that is taken', () => {
  test.each([
    ['listen.port', (port: number) => ({ listen: { host: '127.0.0.1', port } })],
    ['admin.health_port', (port: number) => ({ admin: { health_port: port, metrics_port: 0 } })],
    ['admin.metrics_port', (port: number) => ({ admin: { health_port: 0, metrics_port: port } })],
  ])('keeps the relay from starting, which says that it is %s, and writes nothing', async (key, change) => {
    const port = await take()
    await configure({ ...change(port), descriptor: { file: 'one.json' } })
    // Keys would be made at the start, too.
    ahead = 30 * day
    const state = async () => [await readdir(folder), await readFile(join(folder, 'one/onion.keys'), 'utf8')]
    const before = await state()
    await expect(start()).rejects.toMatchObject({
      code: 'config-invalid',
      detail: expect.stringMatching(new RegExp(`^${key} ${port}: taken.*set another ${key}$`)),
    })
    expect(await state()).toEqual(before)
    expect(logged).toEqual([])
  })
})

describe('health', () => {
  const health = async ({ ready }: Life) => {
    const response = await fetch(`http://127.0.0.1:${ready.healthPort}/health`)
    return { status: response.status, body: (await response.json()) as { checks: { name: string; ok: boolean }[] } }
  }

  // Found by review: a document that those trusted now have not signed was used, and called valid, until it expired.
  test('fails as soon as others are trusted than have signed the network document', async () => {
    const [signs, other] = await Promise.all([1, 2].map((seed) => crypto.sign.fromSeed(new Uint8Array(32).fill(seed))))
    if (signs === undefined || other === undefined) throw new Error('no keys')
    const from = systemClock.now()
    const dates = { validAfter: from, validUntil: from + day, previousHash: base64(new Uint8Array(32)) }
    const payload = encodePayload({ version: 1, ...dates, minimumProtocol: 1, relays: [] })
    const signed = { payload: base64(payload), signatures: [await signPayload(signs, payload)] }
    await writeFile(join(folder, 'network.json'), JSON.stringify(signed))
    const trusting = ({ publicKey }: SigningKey) =>
      configure({ network: { document: 'network.json', trust: { keys: [base64(publicKey)], threshold: 1 } } })
    const isValid = async (relay: Life) =>
      (await health(relay)).body.checks.find(({ name }) => name === 'network document')?.ok

    await trusting(signs)
    const relay = await start()
    expect(await isValid(relay)).toBe(true)
    await trusting(other)
    await relay.reload()
    expect(await isValid(relay)).toBe(false)
    expect(logged).toContainEqual(
      expect.objectContaining({ message: 'the network document is given up: those trusted now have not signed it' }),
    )
  })

  test('fails as soon as no key is valid', async () => {
    const relay = await start()
    expect((await health(relay)).body.checks).toContainEqual(expect.objectContaining({ name: 'keys', ok: true }))
    ahead = 15 * day
    const { status, body } = await health(relay)
    expect([status, body.checks.find(({ name }) => name === 'keys')]).toEqual([
      503,
      { name: 'keys', ok: false, sentence: expect.stringContaining('No onion key is valid any more') },
    ])
  })
})

test('links are shared out by address', async () => {
  await configure({ listen: { host: '127.0.0.1', port: 0 }, limits: { max_connections: 8 } })
  const { ready } = await start()
  const url = `ws://127.0.0.1:${ready.port}/relay`
  const dial = (localAddress: string) =>
    codeOfAsync(() => dialLink({ url, localAddress, table: new CircuitTable(), clock: systemClock, idleAfter: minute }))
  expect(await dial('127.0.0.2')).toBeUndefined()
  expect(await dial('127.0.0.2')).toBe('connect-failed')
  expect(await dial('127.0.0.3')).toBeUndefined()
})

describe('the log', () => {
  test('says which document is missing, and no line of code', async () => {
    await start()
    expect(factsOf('no network document yet')).toEqual({
      error: {
        code: 'file-unusable',
        detail: 'the network document does not exist, or its folder does not',
        sentence: expect.stringContaining('A file cannot be used'),
        cause: { code: 'ENOENT' },
      },
      file: join(folder, 'network.json'),
    })
  })

  test('says what is wrong with a new configuration, and no line of code', async () => {
    const relay = await start()
    await configure({ drain_timeout: 'soon' })
    await relay.reload()
    const { error, file } = factsOf('configuration refused; the old one stays') as Record<string, object>
    expect(error).toMatchObject({ code: 'config-invalid', detail: expect.stringContaining('drain_timeout') })
    expect(error).not.toHaveProperty('stack')
    expect(file).toBe(configFile)
  })

  test('says where a descriptor could not be written, and no line of code', async () => {
    await configure({ descriptor: { file: 'nowhere/one.json' } })
    await start()
    const facts = factsOf('descriptor not written') as Record<string, object>
    expect(facts.error).toMatchObject({ code: 'file-unusable', detail: expect.stringContaining('nowhere') })
    expect(facts.error).not.toHaveProperty('stack')
  })
})
