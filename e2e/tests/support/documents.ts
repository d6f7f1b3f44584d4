/** Network documents made with the relay program, as the directories of a network make them. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type LocalNetwork, programPath, runProgram } from '../../src/network/index.ts'

const hour = 60 * 60 * 1000

const sign = (...args: readonly string[]) =>
  runProgram(programPath('nightjar-relay'), ['network', 'sign', '--local', ...args])

/** A newer document than the one in use, signed by one directory of two. */
export async function signNewer(network: LocalNetwork, out: string): Promise<void> {
  const { folder, relays } = network
  await sign(
    ...['--relays', join(folder, 'relays.yaml'), '--key', join(folder, 'north.key'), '--previous', relays.documentFile],
    ...['--valid-hours', '168', '--out', out],
  )
}

/** Adds the second directory's signature to `file`. */
export async function countersign(network: LocalNetwork, file: string, out: string): Promise<void> {
  const second = `${out}.south`
  await sign('--payload', file, '--key', join(network.folder, 'south.key'), '--out', second)
  await runProgram(programPath('nightjar-relay'), ['network', 'merge', file, second, '--out', out])
}

/** The environment of a program on a computer whose clock is wrong by so many days. */
export function clockOffBy(days: number): Readonly<Record<string, string>> {
  const code = `const now = Date.now; Date.now = () => now() + ${days * 24 * 60 * 60 * 1000}`
  return { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(code)}` }
}

/** A relay, as the document describes it. */
export interface ListedRelay {
  readonly name: string
  /** Its identity in hexadecimal. */
  readonly id: string
  readonly roles: readonly string[]
  /** The id of its present envelope key; gateways have one. */
  readonly envelopeKeyId: Buffer | undefined
}

export async function relaysIn(file: string): Promise<readonly ListedRelay[]> {
  return (await descriptorsIn(file)).map(({ name, identity, roles, envelopeKeys }) => {
    const keyId = envelopeKeys[0]?.id
    return {
      name,
      id: Buffer.from(identity, 'base64').toString('hex'),
      roles,
      envelopeKeyId: keyId === undefined ? undefined : Buffer.from(keyId, 'base64'),
    }
  })
}

/** A relay's identity, and the id and public half of its present onion key. */
export async function onionKeyOf(file: string, name: string): Promise<{ identity: Buffer; id: Buffer; key: Buffer }> {
  const found = (await descriptorsIn(file)).find((descriptor) => descriptor.name === name)
  const now = Date.now()
  const key = found?.onionKeys.find(({ validAfter, validUntil }) => validAfter <= now && now < validUntil)
  if (found === undefined || key === undefined) throw new Error(`no onion key of ${name}`)
  const [identity, id, raw] = [found.identity, key.id, key.key].map((text) => Buffer.from(text, 'base64'))
  return { identity, id, key: raw } as { identity: Buffer; id: Buffer; key: Buffer }
}

async function descriptorsIn(file: string): Promise<readonly Descriptor[]> {
  const { payload } = JSON.parse(await readFile(file, 'utf8')) as { payload: string }
  const { relays } = decode(payload) as { relays: readonly { descriptor: { payload: string } }[] }
  return relays.map(({ descriptor }) => decode(descriptor.payload) as Descriptor)
}

interface Descriptor {
  readonly name: string
  readonly identity: string
  readonly roles: readonly string[]
  readonly envelopeKeys: readonly { readonly id: string }[]
  readonly onionKeys: readonly {
    readonly id: string
    readonly key: string
    readonly validAfter: number
    readonly validUntil: number
  }[]
}

/** The secrets of all keys that the network's relays hold, by their ids in base64: what a thief of them would have. */
export async function stolenKeys({ folder, relays }: LocalNetwork): Promise<ReadonlyMap<string, Buffer>> {
  const files = relays.all.map(({ name }) => readFile(join(folder, name, 'onion.keys'), 'utf8'))
  const kept = (await Promise.all(files)).flatMap((text) => (JSON.parse(text) as KeyFile).keys)
  return new Map(kept.map(({ id, secret }) => [id, Buffer.from(secret, 'base64')]))
}

interface KeyFile {
  readonly keys: readonly { readonly id: string; readonly secret: string }[]
}

function decode(payload: string): unknown {
  return JSON.parse(Buffer.from(payload, 'base64').toString('utf8'))
}

/** A document of the real relays and with the real directories' signatures, but signed at another time, about that time. */
export async function signAt(network: LocalNetwork, hoursAgo: number, out: string): Promise<void> {
  const at = Date.now() - hoursAgo * hour
  const document = JSON.parse(await readFile(network.relays.documentFile, 'utf8')) as { payload: string }
  const before = decode(document.payload) as { version: number }
  const payload = { ...before, version: before.version + 1000, validAfter: at - hour / 2, validUntil: at + hour / 2 }
  const unsigned = `${out}.unsigned`
  await writeFile(unsigned, JSON.stringify({ payload: encode(payload), signatures: [] }))
  const env = clockOffBy(-hoursAgo / 24)
  const signed = await Promise.all(
    ['north', 'south'].map(async (directory) => {
      const file = `${out}.${directory}`
      const key = join(network.folder, `${directory}.key`)
      const args = ['network', 'sign', '--local', '--payload', unsigned, '--key', key, '--out', file]
      await runProgram(programPath('nightjar-relay'), args, { env })
      return file
    }),
  )
  await runProgram(programPath('nightjar-relay'), ['network', 'merge', ...signed, '--out', out], { env })
}

/** `file` with the signature of somebody who is no directory, beside those that it has. */
export async function signAsStranger(file: string, out: string): Promise<void> {
  const key = `${out}.key`
  await runProgram(programPath('nightjar-relay'), ['keygen', '--directory', key])
  await sign('--payload', file, '--key', key, '--out', `${out}.stranger`)
  await runProgram(programPath('nightjar-relay'), ['network', 'merge', file, `${out}.stranger`, '--out', out])
}

/** `text` of a document, with all envelope keys replaced by `key`, and all signatures as they were. */
export function withEnvelopeKey(text: string, key: string): string {
  const document = JSON.parse(text) as { payload: string }
  const payload = decode(document.payload) as { relays: readonly { descriptor: { payload: string } }[] }
  const relays = payload.relays.map((entry) => {
    const descriptor = decode(entry.descriptor.payload) as Descriptor
    const envelopeKeys = descriptor.envelopeKeys.map((each) => ({ ...each, key }))
    return { ...entry, descriptor: { ...entry.descriptor, payload: encode({ ...descriptor, envelopeKeys }) } }
  })
  return JSON.stringify({ ...document, payload: encode({ ...payload, relays }) })
}

function encode(payload: object): string {
  return Buffer.from(JSON.stringify(payload)).toString('base64')
}
