/** Two stream muxes back to back, over a wire whose every step a test decides, and which keeps its own books. */
import { readU16 } from '../../bytes/index.ts'
import {
  type Accept,
  type Channel,
  decodeBegin,
  decodeMessage,
  layerCapacity,
  type Message,
  messageType,
  noStream,
  StreamMux,
  writeMessage,
} from '../index.ts'

/** Sends to the other end of the wire. */
export class ScriptedChannel implements Channel {
  readonly capacity: number
  writable = true
  /** On their way. */
  readonly queue: Message[] = []
  /** Everything that was ever sent. */
  readonly log: Message[] = []
  /** Streams opened over it on which what comes back takes no credit. */
  readonly openedFree = new Set<number>()
  readonly #opposite: ScriptedChannel | undefined

  constructor(depth: number, opposite?: ScriptedChannel) {
    this.capacity = layerCapacity(depth)
    this.#opposite = opposite
  }

  send(type: number, stream: number, data: Uint8Array): void {
    // Through the bytes, so that what does not fit a cell fails here too.
    const inner = new Uint8Array(this.capacity)
    writeMessage(inner, 0, type, stream, data)
    const message = decodeMessage(inner)
    this.queue.push(message)
    this.log.push(message)
    if (type === messageType.begin && decodeBegin(message.data).isFree) this.openedFree.add(stream)
  }

  /** Messages of that type sent so far, on one stream or on all. */
  sent(type: number, stream?: number): Message[] {
    return this.log.filter((message) => message.type === type && (stream === undefined || message.stream === stream))
  }

  /** Cells sent that need credit, by the rule of docs/protocol.md: BEGIN, DATA, and END with data, but on free streams. */
  costly(stream?: number): number {
    return this.log.filter((message) => {
      if (stream !== undefined && message.stream !== stream) return false
      if (this.#opposite?.openedFree.has(message.stream)) return false
      const { type, data } = message
      return type === messageType.begin || type === messageType.data || (type === messageType.end && data.length > 1)
    }).length
  }

  /** Credit sent for the branch (stream 0) or one stream. */
  credit(stream: number = noStream): number {
    return this.sent(messageType.credit, stream).reduce((sum, { data }) => sum + readU16(data, 0), 0)
  }
}

export interface Wire {
  readonly client: StreamMux
  readonly server: StreamMux
  /** What the client sends, and what the server sends. */
  readonly forward: ScriptedChannel
  readonly backward: ScriptedChannel
  /** Hands the next message over; false where there was none. */
  deliver(direction: 'forward' | 'backward'): boolean
  /** Delivers in both directions until nothing is on its way. */
  settle(): void
}

export function wire(accept: Accept, depth = 3): Wire {
  const forward = new ScriptedChannel(depth)
  const backward = new ScriptedChannel(depth, forward)
  const client = new StreamMux(forward)
  const server = new StreamMux(backward, accept)

  function deliver(direction: 'forward' | 'backward'): boolean {
    const message = (direction === 'forward' ? forward : backward).queue.shift()
    if (message === undefined) return false
    const view = Uint8Array.from(message.data)
    const receiver = direction === 'forward' ? server : client
    receiver.receive({ ...message, data: view })
    // Data is valid during the call only.
    view.fill(0xdb)
    return true
  }

  function settle(): void {
    while (deliver('forward') || deliver('backward'));
  }

  return { client, server, forward, backward, deliver, settle }
}

/** A handler that keeps what it is told. `consume` decides when data counts as dealt with; at once by default. */
export class Recorder {
  readonly data: Uint8Array[] = []
  readonly ends: string[] = []
  connections = 0
  unconsumed = 0
  readonly #consume: 'at once' | 'later'

  constructor(consume: 'at once' | 'later' = 'at once') {
    this.#consume = consume
  }

  /** Set by whoever opens or accepts the stream. */
  stream: { consumed(): void } | undefined

  onConnected(): void {
    this.connections += 1
  }

  onData(data: Uint8Array): void {
    this.data.push(Uint8Array.from(data))
    this.unconsumed += 1
    if (this.#consume === 'at once') this.consumeOne()
  }

  onEnd(code: string): void {
    this.ends.push(code)
  }

  consumeOne(): void {
    if (this.unconsumed === 0) return
    this.unconsumed -= 1
    this.stream?.consumed()
  }

  get bytes(): Uint8Array {
    return Uint8Array.from(this.data.flatMap((part) => [...part]))
  }
}
