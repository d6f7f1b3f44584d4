import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { nobleCrypto as crypto } from '@nightjar/shared/crypto/noble'
import { day } from '@nightjar/shared/runtime'
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

describe('the log', () => {
  test('says which document is missing, and no line of code', async () => {
    await start()
    expect(factsOf('no network document yet')).toEqual({
      error: {
        code: 'file-unusable',
        detail: 'network document',
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
