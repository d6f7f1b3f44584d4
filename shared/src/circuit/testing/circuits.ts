/** A client and its circuits through four relays, of which a test has both ends. */
import { concat } from '../../bytes/index.ts'
import { nobleCrypto } from '../../crypto/noble.ts'
import type { ErrorCode } from '../../errors/index.ts'
import { FakeClock } from '../../testing/index.ts'
import { type Accept, type Hop, openCircuit } from '../index.ts'
import { makeRelay, type RelayHop, type TestRelay, TestRelays } from './relays.ts'
import { Recorder } from './wire.ts'

export async function makeCircuits() {
  const known = await Promise.all([10, 20, 30, 40].map(makeRelay))
  const [entry, middle, gateway, fourth] = known as [TestRelay, TestRelay, TestRelay, TestRelay]

  /** The relays with no circuit yet, and a client with a link to the first. */
  function world() {
    const relays = new TestRelays(known)
    const clock = new FakeClock()
    const documents: number[] = []
    const context = {
      crypto: nobleCrypto,
      clock,
      onDocument: ({ version }: { version: number }) => void documents.push(version),
    }
    const create = () => openCircuit(relays.clientTable, entry, context)
    return { relays, clock, documents, context, create }
  }

  /** A circuit of `depth` hops along one branch each, and both ends of each hop. */
  async function built(depth: number) {
    const all = world()
    const hops = [await all.create()]
    for (const relay of known.slice(1, depth)) hops.push(await (hops.at(-1) as Hop).extend(relay))
    const far: RelayHop[] = [all.relays.root as RelayHop]
    while (far.length < depth) far.push([...(far.at(-1) as RelayHop).branches.values()][0] as RelayHop)
    return { ...all, hops, far, hop: (at: number) => hops[at - 1] as Hop, at: (d: number) => far[d - 1] as RelayHop }
  }

  return { known, entry, middle, gateway, fourth, world, built }
}

/** Answers each request with itself, doubled. */
export const echo: Accept = (stream) => {
  const parts: Uint8Array[] = []
  return {
    onData(data) {
      parts.push(Uint8Array.from(data))
      stream.consumed()
    },
    onEnd(code) {
      if (code === 'done') stream.send(concat(...parts, ...parts), true)
    },
  }
}

export function ask(hop: Hop, data: Uint8Array): Recorder {
  const recorder = new Recorder()
  recorder.stream = hop.streams.open('echo', new Uint8Array(0), recorder, { data, end: true })
  return recorder
}

export function endOf(hop: Hop): ErrorCode[] {
  const codes: ErrorCode[] = []
  hop.onClosed((error) => codes.push(error.code))
  return codes
}
