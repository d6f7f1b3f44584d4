/** The daemon's own life: what it keeps over a restart, that there is one only, and which documents it refuses. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Daemon, startDaemon, until } from '../src/network/index.ts'
import { clockOffBy, countersign, signNewer } from './support/documents.ts'
import { useNetwork } from './support/network.ts'
import { ask } from './support/rpc.ts'

const chain = 31337
const shared = useNetwork()

describe('a restart', () => {
  test.each(['SIGTERM', 'SIGKILL'] as const)('after %s keeps the token and the pinned relays', async (signal) => {
    const { daemon } = shared.network
    const before = await keptBy(daemon)
    const { trunks } = await daemon.status()
    daemon.process.signal(signal)
    expect(await daemon.process.ended).toBe(signal === 'SIGTERM' ? 0 : null)
    await daemon.restart()
    await until('it is private again', async () => (await daemon.status()).state === 'private')

    expect(await keptBy(daemon)).toEqual(before)
    const after = await daemon.status()
    expect(after.trunks.map(({ entry }) => entry)).toEqual(trunks.map(({ entry }) => entry))
    expect(after.trunks.map(({ middle }) => middle)).toEqual(trunks.map(({ middle }) => middle))
    expect(await ask(daemon.url(chain), 'eth_chainId')).toHaveProperty('result', '0x7a69')
  })

  async function keptBy(daemon: Daemon): Promise<unknown> {
    const state = JSON.parse(await readFile(join(daemon.home, 'state.json'), 'utf8')) as Record<string, unknown>
    const token = new URL(daemon.url(chain)).pathname.split('/')[1]
    expect(token).toMatch(/^[0-9a-f]{32}$/)
    expect(state.token).toBe(token)
    return { token, secret: state.secret, guards: state.guards, middles: state.middles }
  }
})

test('a second daemon is refused with a sentence, and the first goes on', async () => {
  const { daemon } = shared.network
  const second = await daemon.run('up')
  expect(second.code).toBe(1)
  expect(second.stderr).toContain('A Nightjar daemon is already running. Stop it first.')
  expect(await ask(daemon.url(chain), 'eth_chainId')).toHaveProperty('result', '0x7a69')
  expect((await daemon.status()).state).toBe('private')
})

describe('a network document', () => {
  let newer: string
  let underSigned: string

  beforeAll(async () => {
    underSigned = join(shared.network.folder, 'newer-north.json')
    newer = join(shared.network.folder, 'newer.json')
    await signNewer(shared.network, underSigned)
    await countersign(shared.network, underSigned, newer)
  })

  interface Start {
    readonly home?: string
    readonly document: string
    readonly environment?: Readonly<Record<string, string>>
  }

  /** Those that a test expected to be refused, too. */
  const started: Daemon[] = []

  afterAll(async () => {
    await Promise.all(started.map((daemon) => daemon.process.stop()))
  })

  /** A daemon for `document`, in a home of its own unless one is given. */
  async function start({ home = `home-${process.hrtime.bigint()}`, document, environment }: Start): Promise<Daemon> {
    const { folder, relays } = shared.network
    const options = { relays, chains: [chain], port: 0, logLevel: 'info' } as const
    const daemon = await startDaemon({ ...options, home: join(folder, home), document, environment })
    started.push(daemon)
    return daemon
  }

  async function written(name: string, text: string): Promise<string> {
    const folder = join(shared.network.folder, 'documents')
    await mkdir(folder, { recursive: true })
    const file = join(folder, name)
    await writeFile(file, text)
    return file
  }

  interface Document {
    payload: string
    signatures: { key: string; signature: string }[]
  }

  async function changed(name: string, change: (document: Document) => void): Promise<string> {
    const document = JSON.parse(await readFile(newer, 'utf8')) as Document
    change(document)
    return written(name, JSON.stringify(document))
  }

  function changedPayload(name: string, change: (text: string) => string): Promise<string> {
    return changed(name, (document) => {
      const text = Buffer.from(document.payload, 'base64').toString('utf8')
      const other = change(text)
      expect(other).not.toBe(text)
      document.payload = Buffer.from(other).toString('base64')
    })
  }

  test('in order is accepted', async () => {
    const daemon = await start({ document: newer })
    expect(await daemon.process.stop()).toBe(0)
  })

  test('that has expired is refused', async () => {
    const refused = start({ document: newer, environment: clockOffBy(8) })
    await expect(refused).rejects.toThrow(/has expired\. Check the clock.*\[document-expired\]/)
  })

  test('that is not valid yet is refused', async () => {
    const refused = start({ document: newer, environment: clockOffBy(-1) })
    await expect(refused).rejects.toThrow(/not valid yet\. Set the clock.*\[document-not-yet-valid\]/)
  })

  test('that was tampered with is refused', async () => {
    const later = await changedPayload('later.json', (text) => text.replace(/"validUntil":1/, '"validUntil":9'))
    await expect(start({ document: later })).rejects.toThrow(/0 of 2 signatures.*\[document-under-signed\]/)
    const captured = await changedPayload('captured.json', (text) => text.replace('op-kestrel', 'op-mallory'))
    await expect(start({ document: captured })).rejects.toThrow(/0 of 2 signatures.*\[document-under-signed\]/)
  })

  test('with too few signatures is refused, also where one counts twice or is of a stranger', async () => {
    await expect(start({ document: underSigned })).rejects.toThrow(/1 of 2 signatures.*\[document-under-signed\]/)
    const twice = await changed('twice.json', (document) => {
      const [first] = document.signatures
      if (first !== undefined) document.signatures = [first, { ...first }]
    })
    await expect(start({ document: twice })).rejects.toThrow(/1 of 2 signatures.*\[document-under-signed\]/)
    const stranger = await changed('stranger.json', (document) => {
      const [, second] = document.signatures
      if (second !== undefined) second.key = Buffer.alloc(32, 7).toString('base64')
    })
    await expect(start({ document: stranger })).rejects.toThrow(/1 of 2 signatures.*\[document-under-signed\]/)
  })

  test('that is cut off, or none at all, is refused', async () => {
    const whole = await readFile(newer, 'utf8')
    const cut = await written('cut.json', whole.slice(0, whole.length / 2))
    await expect(start({ document: cut })).rejects.toThrow(/cannot be read.*\[document-malformed\]/)
    const other = await written('other.json', '{"payload":"","signatures":[]}')
    await expect(start({ document: other })).rejects.toThrow(/\[document-(malformed|under-signed)\]/)
  })

  test('that is older than one seen is refused', async () => {
    const home = 'home-rolled-back'
    const daemon = await start({ home, document: newer })
    expect(await daemon.process.stop()).toBe(0)
    const older = shared.network.relays.documentFile
    await expect(start({ home, document: older })).rejects.toThrow(/version \d+ after \d+.*\[document-rolled-back\]/)
    // What it refused left no mark: the newest one is still good.
    const again = await start({ home, document: newer })
    expect(await again.process.stop()).toBe(0)
  })
})
