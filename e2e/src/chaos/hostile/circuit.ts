/** A circuit of a hostile client: hops, branches, streams and an envelope session, each message as its user wants it. */
import { cellOf, type HostileLink } from './link.ts'
import {
  bodySize,
  codeName,
  command,
  encodeBegin,
  type Handshake,
  type Keys,
  layerSize,
  message,
  open,
  type Party,
  partSize,
  partsOf,
  purpose,
  replySize,
  seal,
  startHandshake,
  u16,
} from './wire.ts'

interface Hop {
  readonly party: Party
  readonly keys: Keys
  /** The branch that leads on from it. */
  branch: number
  sealed: number
  opened: number
}

export interface Arrived {
  /** From which hop, counted from 0. */
  readonly hop: number
  readonly type: number
  readonly stream: number
  readonly data: Buffer
}

const streamWindow = 256
const branchWindow = 512

let lastCircuit = 0

export class HostileCircuit {
  readonly link: HostileLink
  readonly id: number
  readonly #hops: Hop[] = []
  readonly #arrived: Arrived[] = []
  readonly #waiting = new Set<() => void>()
  readonly #streamEnds = new Map<number, string>()
  /** What DESTROY, or the close of the link, said. */
  ended: string | undefined

  private constructor(link: HostileLink, id: number) {
    this.link = link
    this.id = id
    void link.closed.then((code) => this.#end(`link closed with ${code >= 4000 ? codeName(code - 4000) : code}`))
  }

  /** One hop, made on `link`. */
  static async open(link: HostileLink, party: Party): Promise<HostileCircuit> {
    const circuit = new HostileCircuit(link, ++lastCircuit)
    const handshake = startHandshake(purpose.hop, 1, party.identity, party.onion)
    const parts: Buffer[] = []
    const created = new Promise<void>((resolve) => {
      link.listen(circuit.id, (cell) => {
        if (cell[4] === command.created && parts.push(cell.subarray(7)) === 2) resolve()
        circuit.#receive(cell)
      })
    })
    await link.send(partsOf(handshake.hello, bodySize).map((part) => cellOf(circuit.id, command.create, part)))
    await Promise.race([created, circuit.until('a circuit is there', () => circuit.ended !== undefined)])
    if (circuit.ended !== undefined) throw new Error(`no circuit: ${circuit.ended}`)
    circuit.#addHop(party, handshake.finish(Buffer.concat(parts).subarray(0, replySize)))
    return circuit
  }

  get depth(): number {
    return this.#hops.length
  }

  /** Grows the circuit by `party`; resolves with `extended`, or why not. */
  async extend(party: Party, branch = 1): Promise<string> {
    const handshake = await this.ask(party, branch)
    const last = this.#hops.at(-1) as Hop
    const parts: Buffer[] = []
    const outcome = await this.take('EXTEND is answered', ({ hop, type, data }) => {
      if (type === message.branchClosed) return codeName(data[2] as number)
      if (hop !== this.depth - 1 || type !== message.extended) return undefined
      return parts.push(data.subarray(2)) === 2 ? 'extended' : undefined
    })
    if (outcome !== 'extended') return outcome
    last.branch = branch
    this.#addHop(party, handshake.finish(Buffer.concat(parts).subarray(2, 2 + replySize)))
    return outcome
  }

  /** Sends the EXTEND only. */
  async ask(party: Party, branch: number): Promise<Handshake> {
    const handshake = startHandshake(purpose.hop, this.depth + 1, party.identity, party.onion)
    const whole = Buffer.concat([u16(branch), party.identity, handshake.hello])
    const room = bodySize - layerSize * this.depth - 5
    await this.send(partsOf(whole, room).map((part) => this.cell(message.extend, 0, part)))
    return handshake
  }

  /** A cell for the last hop, sealed for all: they must be sent in the order in which they were made. */
  cell(type: number, stream: number, data: Buffer, options: { delayAtMiddle?: number } = {}): Buffer {
    const head = Buffer.concat([Buffer.of(type), u16(stream), u16(data.length)])
    let inner: Buffer = Buffer.concat([head, data])
    for (let index = this.depth - 1; index >= 0; index--) {
      const hop = this.#hops[index] as Hop
      const isLast = index === this.depth - 1
      const plain = Buffer.alloc(bodySize - layerSize * index - 16)
      plain.writeUInt16BE(isLast ? 0 : hop.branch)
      plain[2] = index === 1 && !isLast ? (options.delayAtMiddle ?? 0) : 0
      inner.copy(plain, 3)
      inner = seal(hop.keys.forward, hop.sealed++, plain)
    }
    return cellOf(this.id, command.relay, inner)
  }

  send(cells: readonly Buffer[]): Promise<void> {
    return this.link.send(cells)
  }

  /** Opens an envelope session on stream 1; the circuit's last hop is a gateway. */
  async greet(): Promise<Keys> {
    const { party } = this.#hops.at(-1) as Hop
    if (party.envelope === undefined) throw new Error(`${party.name} is no gateway`)
    const handshake = startHandshake(purpose.envelope, 0, party.identity, party.envelope)
    const first = handshake.hello.subarray(0, 900)
    await this.send([
      this.cell(message.begin, 1, encodeBegin('envelope', first)),
      this.cell(message.end, 1, Buffer.concat([Buffer.of(0), handshake.hello.subarray(900)])),
    ])
    return handshake.finish(await this.collect(1))
  }

  /** All data of a stream, once the other side has ended it well. @throws Error with the code where it did not */
  async collect(stream: number): Promise<Buffer> {
    const parts: Buffer[] = []
    const code = await this.take('a stream ends', (arrived) => {
      if (arrived.stream !== stream) return undefined
      if (arrived.type === message.data) parts.push(arrived.data)
      if (arrived.type !== message.end) return undefined
      parts.push(arrived.data.subarray(1))
      return codeName(arrived.data[0] as number)
    })
    if (code !== 'done') throw new Error(`the stream ended with ${code}`)
    return Buffer.concat(parts)
  }

  /** How a stream ended, by its code. */
  streamEnd(stream: number): Promise<string> {
    return this.take('a stream ends', ({ type, stream: of, data }) =>
      type === message.end && of === stream ? codeName(data[0] as number) : undefined,
    )
  }

  /** How a stream was ended while `sendWithCredit` sent on it; undefined where it was not. */
  endOf(stream: number): string | undefined {
    return this.#streamEnds.get(stream)
  }

  /**
   * Sends `data` on a stream part by part, as its credit and the branch's allow, until it is ended.
   * @param used cells that credit was taken for before and not given back
   * @returns those of the branch then
   */
  async sendWithCredit(stream: number, data: Buffer, used: { stream: number; branch: number }): Promise<number> {
    let [ofStream, ofBranch] = [streamWindow - used.stream, branchWindow - used.branch]
    const over = () => this.ended !== undefined || this.#streamEnds.has(stream)
    const hasCredit = () => {
      for (const { type, stream: of, data: content } of this.#arrived.splice(0)) {
        if (type === message.end) this.#streamEnds.set(of, codeName(content[0] as number))
        if (type === message.credit && of === 0) ofBranch += content.readUInt16BE()
        if (type === message.credit && of === stream) ofStream += content.readUInt16BE()
      }
      return ofStream > 0 && ofBranch > 0
    }
    for (let at = 0; at < data.length; at += partSize) {
      await this.until('there is credit', () => hasCredit() || over())
      if (over()) break
      ofStream -= 1
      ofBranch -= 1
      await this.send([this.cell(message.data, stream, data.subarray(at, at + partSize))])
    }
    return branchWindow - ofBranch
  }

  /** The first thing that `find` makes of what arrives, in order. Ends with the circuit. */
  async take(what: string, find: (arrived: Arrived) => string | undefined): Promise<string> {
    let found: string | undefined
    await this.until(what, () => {
      while (found === undefined && this.#arrived.length > 0) found = find(this.#arrived.shift() as Arrived)
      return found !== undefined || this.ended !== undefined
    })
    return found ?? (this.ended as string)
  }

  /** Resolves once `holds`, looked at whenever something arrives. @throws Error naming `what` when nothing is done about it */
  until(what: string, holds: () => boolean, patience = 30_000): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(look)
        reject(new Error(`the relay did nothing about it; still not: ${what}`))
      }, patience)
      const look = () => {
        if (!holds()) return
        clearTimeout(timer)
        this.#waiting.delete(look)
        resolve()
      }
      this.#waiting.add(look)
      look()
    })
  }

  #addHop(party: Party, keys: Keys): void {
    this.#hops.push({ party, keys, branch: 0, sealed: 0, opened: 0 })
  }

  #receive(cell: Buffer): void {
    if (cell[4] === command.destroy) return this.#end(`circuit destroyed with ${codeName(cell[5] as number)}`)
    if (cell[4] === command.puzzle) return this.#end('puzzle')
    if (cell[4] !== command.relay) return
    let body = cell.subarray(5)
    for (const [index, hop] of this.#hops.entries()) {
      const plain = open(hop.keys.backward, hop.opened++, body.subarray(0, bodySize - layerSize * index))
      const inner = plain.subarray(3)
      if (plain.readUInt16BE() === 0) {
        const data = inner.subarray(5, 5 + inner.readUInt16BE(3))
        this.#arrived.push({ hop: index, type: inner[0] as number, stream: inner.readUInt16BE(1), data })
        break
      }
      body = inner
    }
    this.#tell()
  }

  #end(how: string): void {
    this.ended ??= how
    this.#tell()
  }

  #tell(): void {
    for (const look of [...this.#waiting]) look()
  }
}
