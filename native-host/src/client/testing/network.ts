/**
 * A scripted onion network in memory, made of shared parts only: relays that hold up their ends of circuits and
 * gateways that answer questions, each of which can be cut off, silenced, or told what to answer.
 */
import { bodyOf, circuitIdOf, command, HandshakeAssembler, handshakeCells, makeCell } from '@nightjar/shared/cell'
import { CircuitTable } from '@nightjar/shared/circuit'
import type { DhKeyPair } from '@nightjar/shared/crypto'
import type { Network, Relay } from '@nightjar/shared/directory'
import { NightjarError, toWire } from '@nightjar/shared/errors'
import { answerHandshake } from '@nightjar/shared/handshake'
import {
  describeExit,
  describeGateway,
  describeRelay,
  FakeClock,
  networkOf,
  pairOfLinks,
  turn,
} from '@nightjar/shared/testing'
import { nativeCrypto as crypto } from '@nightjar/shared-node/crypto'
import type { Dial } from '@nightjar/shared-node/link'
import { documentHash, FakeHop, FakeRelay } from './relay.ts'

export class TestNetwork {
  readonly clock = new FakeClock()
  readonly relays: readonly FakeRelay[]
  network: Network

  private constructor(relays: readonly FakeRelay[]) {
    this.relays = relays
    this.network = { ...networkOf(relays.map(({ relay }) => relay)), hash: documentHash }
  }

  /** `relays` entries and middles called r0, r1 …, `gateways` called g0, g1 …, and `exits` called x0, x1 … */
  static async create(options: { relays: number; gateways: number; exits?: number }): Promise<TestNetwork> {
    const make = async (name: string, describe: typeof describeRelay): Promise<FakeRelay> => {
      const [onion, envelope] = [await crypto.dh.generate(), await crypto.dh.generate()]
      const relay = describe(name)
      const keyOf = ({ publicKey }: DhKeyPair) => ({ ...relay.onionKeys[0], key: publicKey }) as Relay['onionKeys'][0]
      const envelopeKeys = relay.envelopeKeys.length > 0 ? [keyOf(envelope)] : []
      return new FakeRelay({ ...relay, onionKeys: [keyOf(onion)], envelopeKeys }, onion, envelope)
    }
    const relays: FakeRelay[] = []
    for (let index = 0; index < options.relays; index++) relays.push(await make(`r${index}`, describeRelay))
    for (let index = 0; index < options.gateways; index++) relays.push(await make(`g${index}`, describeGateway))
    for (let index = 0; index < (options.exits ?? 0); index++) relays.push(await make(`x${index}`, describeExit))
    return new TestNetwork(relays)
  }

  named(name: string): FakeRelay {
    const found = this.relays.find(({ relay }) => relay.name === name)
    if (found === undefined) throw new Error(`no relay is called ${name}`)
    return found
  }

  find(identity: Uint8Array): FakeRelay {
    return this.relays.find(({ relay }) => relay.identity.join() === identity.join()) as FakeRelay
  }

  /** Links to the relays, without sockets. */
  readonly dial: Dial = async ({ url, table }) => {
    const owner = this.named(new URL(url).pathname.slice(1))
    owner.dials += 1
    if (!owner.up) throw new NightjarError('connect-failed')
    const circuits = new Map<number, FakeEntry>()
    const far: CircuitTable = new CircuitTable({
      onCreate: (id, cell) => {
        const entry = new FakeEntry(this, owner, id, far)
        circuits.set(id, entry)
        far.add(id, { onCell: (...args) => entry.receive(...args), onLinkClosed: () => entry.hop?.end('done') })
        entry.receive(command.create, cell)
      },
    })
    const pair = pairOfLinks(table, far)
    table.attach(pair.a)
    far.attach(pair.b)
    owner.links.push(pair)
    return pair.a
  }

  /** Lets everything happen that needs no time. */
  async settle(): Promise<void> {
    for (let round = 0; round < 60; round++) await turn()
  }

  /** What became of `promise`, once nothing happens any more without time going on. */
  async run<T>(promise: Promise<T>): Promise<T> {
    let isPending = true
    const end = () => {
      isPending = false
    }
    promise.then(end, end)
    for (let round = 0; isPending && round < 5000; round++) await turn()
    if (isPending) throw new Error('waits for time to go on')
    return promise
  }
}

/** A circuit's first hop, on the client's link. */
class FakeEntry {
  hop: FakeHop | undefined
  readonly #network: TestNetwork
  readonly #owner: FakeRelay
  readonly #id: number
  readonly #table: CircuitTable
  readonly #hello = new HandshakeAssembler()

  constructor(network: TestNetwork, owner: FakeRelay, id: number, table: CircuitTable) {
    this.#network = network
    this.#owner = owner
    this.#id = id
    this.#table = table
  }

  receive(cellCommand: number, cell: Uint8Array): void {
    if (this.#owner.silent) return
    if (cellCommand === command.relay) return this.hop?.receive(Uint8Array.from(bodyOf(cell)))
    if (cellCommand === command.destroy) {
      this.#table.remove(circuitIdOf(cell))
      return this.hop?.end('done')
    }
    const hello = this.#hello.push(bodyOf(cell))
    if (hello !== undefined) void this.#create(hello)
  }

  async #create(hello: Uint8Array): Promise<void> {
    const { reply, keys } = await answerHandshake(crypto, hello, this.#owner.secrets(this.#owner.onion))
    this.hop = new FakeHop(this.#network, this.#owner, 1, keys, {
      up: (body) => this.#table.link.send(makeCell(this.#id, command.relay, body)),
      onEnd: (code) => {
        if (code !== 'done') this.#table.link.send(makeCell(this.#id, command.destroy, Uint8Array.of(toWire(code))))
      },
      announceDrain() {},
    })
    for (const cell of handshakeCells(this.#id, command.created, reply)) this.#table.link.send(cell)
  }
}
