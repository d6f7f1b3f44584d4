/** Network documents made with the relay program, as the directories of a network make them. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type LocalNetwork, programPath, runProgram } from '../../src/network/index.ts'

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

interface EnvelopeKey {
  readonly id: Buffer
  readonly key: Buffer
}

/** The first envelope key of each gateway in the document at `file`, by the gateway's identity in hexadecimal. */
export async function envelopeKeysOf(file: string): Promise<ReadonlyMap<string, EnvelopeKey>> {
  const { payload } = JSON.parse(await readFile(file, 'utf8')) as { payload: string }
  const { relays } = decode(payload) as { relays: readonly { descriptor: { payload: string } }[] }
  const descriptors = relays.map(({ descriptor }) => decode(descriptor.payload) as Descriptor)
  return new Map(
    descriptors.flatMap(({ identity, envelopeKeys: [first] }) => {
      if (first === undefined) return []
      const [id, key] = [first.id, first.key].map((text) => Buffer.from(text, 'base64')) as [Buffer, Buffer]
      return [[Buffer.from(identity, 'base64').toString('hex'), { id, key }]]
    }),
  )
}

interface Descriptor {
  readonly identity: string
  readonly envelopeKeys: readonly { readonly id: string; readonly key: string }[]
}

function decode(payload: string): unknown {
  return JSON.parse(Buffer.from(payload, 'base64').toString('utf8'))
}
