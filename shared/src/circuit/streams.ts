/**
 * Streams between a client and one hop, the same code at both ends: opening, cutting into cells, fairness among
 * streams, and credit per stream and per branch.
 *
 * BEGIN, DATA and an END with data take one credit of the branch and one of the stream. A stream's credit comes back when
 * its user has dealt with the data, so a user that stalls stops its stream. The branch's comes back on arrival, so that it
 * stops no other, until the receiver holds more than it will. An END without data is free, so that a stream can always be
 * ended. So is all that comes back on a stream that the client opens as free, as nobody may be there to give credit: the
 * service has to keep to a pace by itself. Stream ids ascend and are never used again, so a late message for a closed
 * stream is known from one for a stream that never was.
 */
import { concat, u16 } from '../bytes/index.ts'
import { type ErrorCode, fromWire, NightjarError, toWire, violation } from '../errors/index.ts'
import { limits } from '../limits.ts'
import {
  type Begin,
  beginOverhead,
  decodeBegin,
  decodeU16,
  encodeBegin,
  type Message,
  messageHeaderSize,
  messageType,
  noStream,
} from './message.ts'
import type { Accept, Channel, Stream, StreamHandler } from './stream.ts'
import { ReceiveWindow, SendWindow } from './window.ts'

/** Data bytes in each cell of a stream, the same at three and four hops, so that sizes do not tell the path's length. */
export const partSize = 928

/** What a BEGIN says beside its data. */
type FirstCell = Pick<Begin, 'service' | 'argument' | 'isFree'>

interface OpenStream extends Stream {
  handler: StreamHandler
  readonly queue: Uint8Array[]
  queuedEnd: boolean
  begin: FirstCell | undefined
  ready: boolean
  sentAll: boolean
  receivedAll: boolean
  /** Undefined where what is sent takes no credit. */
  readonly sendWindow: SendWindow | undefined
  /** Undefined where what is received takes none. */
  readonly receiveWindow: ReceiveWindow | undefined
}

const nothing = new Uint8Array(0)

export class StreamMux {
  readonly #channel: Channel
  readonly #accept: Accept | undefined
  readonly #streams = new Map<number, OpenStream>()
  readonly #ready: OpenStream[] = []
  readonly #sendWindow = new SendWindow(limits.branchWindow)
  readonly #receiveWindow = new ReceiveWindow(limits.branchWindow)
  /** Cells that streams' users have not dealt with. Beyond `heldPerBranch` the branch has no credit back for them. */
  #held = 0
  /** Streams opened here on which what comes takes no credit; also those that are closed, as late data may come. */
  readonly #free = new Set<number>()
  #lastId = 0
  #isPumping = false
  #closedWith: ErrorCode | undefined

  /** Without `accept` this is the client's end, which refuses every BEGIN. */
  constructor(channel: Channel, accept?: Accept) {
    this.#channel = channel
    this.#accept = accept
  }

  get openCount(): number {
    return this.#streams.size
  }

  /** Whether another stream may be opened: the branch is there, fewer than the limit are open, and ids are left. */
  get canOpen(): boolean {
    return this.#closedWith === undefined && this.#streams.size < limits.streamsPerBranch && !this.isUsedUp
  }

  /** Whether all stream ids were given; the branch then has to be replaced. */
  get isUsedUp(): boolean {
    return this.#lastId === 0xffff
  }

  /**
   * Opens a stream with its first data; `end` says that this is all of it. What comes back on one that `isFree` takes no
   * credit, and need not be consumed.
   * @throws NightjarError where `canOpen` is false: what the branch was closed with, or `limit-reached`
   */
  open(
    service: string,
    argument: Uint8Array,
    handler: StreamHandler,
    first: { data: Uint8Array; end: boolean },
    { isFree = false }: { isFree?: boolean } = {},
  ): Stream {
    // Otherwise it would wait for an end that nobody tells it any more.
    if (this.#closedWith !== undefined) throw new NightjarError(this.#closedWith)
    if (!this.canOpen) throw new NightjarError('limit-reached', { detail: 'streams of a branch' })
    this.#lastId += 1
    if (isFree) this.#free.add(this.#lastId)
    const stream = this.#makeStream(this.#lastId, {
      sendWindow: new SendWindow(limits.streamWindow),
      receiveWindow: isFree ? undefined : new ReceiveWindow(limits.streamWindow),
    })
    stream.handler = handler
    stream.begin = { service, argument, isFree }
    // Made ready at once, so that BEGINs leave in the order of their ids.
    this.#makeReady(stream)
    stream.send(first.data, first.end)
    return stream
  }

  /**
   * Handles a stream message from the other end.
   * @throws NightjarError `protocol-violation` or `overflow`; the caller then closes the branch.
   */
  receive(message: Message): void {
    if (message.type === messageType.begin) return this.#receiveBegin(message)
    if (message.type === messageType.credit && message.stream === noStream) {
      this.#sendWindow.grant(decodeU16(message.data, 'CREDIT'))
      return this.pump()
    }
    if (message.stream === noStream || message.stream > this.#lastId) throw violation('message for no stream')
    const stream = this.#streams.get(message.stream)
    switch (message.type) {
      case messageType.data:
        return this.#receiveData(message.stream, stream, message.data)
      case messageType.end:
        return this.#receiveEnd(message.stream, stream, message.data)
      case messageType.credit: {
        const cells = decodeU16(message.data, 'CREDIT')
        if (stream === undefined) return
        if (stream.sendWindow === undefined) throw violation('CREDIT for a stream that takes none')
        stream.sendWindow.grant(cells)
        this.#makeReady(stream)
        return this.pump()
      }
      case messageType.connected:
        if (message.data.length > 0) throw violation('CONNECTED has data')
        return stream?.handler.onConnected?.()
      default:
        throw violation('unknown relay message')
    }
  }

  /**
   * Sends what windows and the link allow, one cell per stream in turn. What is sent meanwhile takes its turn here, too: a
   * user that has the next record for every drained one would else go one call deeper for each.
   */
  pump(): void {
    if (this.#isPumping) return
    this.#isPumping = true
    try {
      for (let stream = this.#takeReady(); stream !== undefined; stream = this.#takeReady()) {
        stream.ready = false
        if (this.#streams.has(stream.id)) this.#pumpOne(stream)
      }
    } finally {
      this.#isPumping = false
    }
  }

  /** The branch is gone: every stream ends with `code`, and nothing is sent. */
  closeAll(code: ErrorCode): void {
    this.#closedWith ??= code
    const streams = [...this.#streams.values()]
    this.#streams.clear()
    this.#ready.length = 0
    for (const stream of streams) stream.handler.onEnd(code)
  }

  #makeStream(id: number, windows: Pick<OpenStream, 'sendWindow' | 'receiveWindow'>): OpenStream {
    const stream: OpenStream = {
      id,
      handler: unset,
      queue: [],
      queuedEnd: false,
      begin: undefined,
      ready: false,
      sentAll: false,
      receivedAll: false,
      ...windows,
      send: (data, end) => {
        if (stream.queuedEnd || !this.#streams.has(id)) return
        if (data.length > 0) stream.queue.push(data)
        stream.queuedEnd = end
        this.#makeReady(stream)
        this.pump()
      },
      connected: () => {
        if (this.#streams.has(id)) this.#channel.send(messageType.connected, id, nothing)
      },
      reset: (code) => {
        if (this.#streams.delete(id) && stream.begin === undefined) {
          this.#channel.send(messageType.end, id, Uint8Array.of(toWire(code)))
        }
      },
      consumed: () => {
        if (stream.receiveWindow === undefined) return
        this.#release()
        const credit = stream.receiveWindow.consume()
        if (credit > 0 && this.#streams.has(id) && !stream.receivedAll) {
          this.#channel.send(messageType.credit, id, u16(credit))
        }
      },
    }
    this.#streams.set(id, stream)
    return stream
  }

  #pumpOne(stream: OpenStream): void {
    this.#sendOne(stream)
    this.#makeReady(stream)
    const isDrained = stream.queue.length === 0 && !stream.queuedEnd
    if (stream.sentAll) stream.handler.onSent?.()
    else if (isDrained && this.#streams.has(stream.id)) stream.handler.onDrained?.()
  }

  #makeReady(stream: OpenStream): void {
    if (stream.ready || stream.sentAll) return
    const hasWork = stream.begin !== undefined || stream.queue.length > 0 || stream.queuedEnd
    if (!hasWork || stream.sendWindow?.open === false) return
    stream.ready = true
    this.#ready.push(stream)
  }

  /** The stream whose turn it is, where the link takes a cell; while the branch has no credit, of those that need none. */
  #takeReady(): OpenStream | undefined {
    const index = this.#sendWindow.open ? 0 : this.#ready.findIndex(({ sendWindow }) => sendWindow === undefined)
    if (this.#ready[index] === undefined || !this.#channel.writable) return undefined
    return index === 0 ? this.#ready.shift() : this.#ready.splice(index, 1)[0]
  }

  #sendOne(stream: OpenStream): void {
    if (stream.begin !== undefined) return this.#sendBegin(stream, stream.begin)
    const part = takePart(stream.queue, partSize)
    const last = stream.queuedEnd && stream.queue.length === 0
    if (part.length > 0) this.#takeCredit(stream)
    if (!last) return this.#channel.send(messageType.data, stream.id, part)
    stream.sentAll = true
    this.#channel.send(messageType.end, stream.id, endOf(part))
    this.#forgetIfOver(stream)
  }

  #sendBegin(stream: OpenStream, begin: FirstCell): void {
    const room = this.#channel.capacity - messageHeaderSize - beginOverhead(begin.service, begin.argument)
    const data = takePart(stream.queue, Math.min(partSize, room))
    const whole = stream.queuedEnd && stream.queue.length === 0
    stream.begin = undefined
    stream.sentAll = whole
    this.#takeCredit(stream)
    this.#channel.send(messageType.begin, stream.id, encodeBegin({ ...begin, whole, data }))
  }

  #takeCredit(stream: OpenStream): void {
    if (stream.sendWindow === undefined) return
    this.#sendWindow.take()
    stream.sendWindow.take()
  }

  #receiveBegin(message: Message): void {
    if (this.#accept === undefined) throw violation('BEGIN towards a client')
    if (message.stream <= this.#lastId) throw violation('stream id used before')
    this.#lastId = message.stream
    this.#hold()
    const begin = decodeBegin(message.data)
    const receiveWindow = new ReceiveWindow(limits.streamWindow)
    const sendWindow = begin.isFree ? undefined : new SendWindow(limits.streamWindow)
    const stream = this.#makeStream(message.stream, { sendWindow, receiveWindow })
    receiveWindow.receive()
    const accepted = this.#streams.size > limits.streamsPerBranch ? 'limit-reached' : this.#accept(stream, begin)
    if (typeof accepted === 'string') {
      stream.consumed()
      return stream.reset(accepted)
    }
    stream.handler = accepted
    if (begin.data.length > 0) accepted.onData(begin.data)
    else stream.consumed()
    if (begin.whole && this.#streams.has(stream.id)) this.#markReceived(stream)
  }

  #receiveData(id: number, stream: OpenStream | undefined, data: Uint8Array): void {
    const takesCredit = !this.#free.has(id)
    if (takesCredit) this.#hold()
    if (stream === undefined) return takesCredit ? this.#release() : undefined
    if (stream.receivedAll) throw violation('DATA after END')
    stream.receiveWindow?.receive()
    stream.handler.onData(data)
  }

  #receiveEnd(id: number, stream: OpenStream | undefined, data: Uint8Array): void {
    if (data.length === 0) throw violation('END without a code')
    const code = fromWire(data[0] as number)
    if (data.length > 1) this.#receiveData(id, stream, data.subarray(1))
    if (stream === undefined || !this.#streams.has(stream.id)) return
    if (code === 'done') return this.#markReceived(stream)
    this.#streams.delete(stream.id)
    stream.handler.onEnd(code)
  }

  #markReceived(stream: OpenStream): void {
    if (stream.receivedAll) throw violation('two ENDs')
    stream.receivedAll = true
    this.#forgetIfOver(stream)
    stream.handler.onEnd('done')
  }

  #forgetIfOver(stream: OpenStream): void {
    if (stream.sentAll && stream.receivedAll) this.#streams.delete(stream.id)
  }

  /** A cell has come that takes credit of the branch. */
  #hold(): void {
    this.#receiveWindow.receive()
    this.#held += 1
    if (this.#held <= limits.heldPerBranch) this.#giveBranchCredit()
  }

  /** One that was held has been dealt with. */
  #release(): void {
    this.#held -= 1
    if (this.#held >= limits.heldPerBranch) this.#giveBranchCredit()
  }

  #giveBranchCredit(): void {
    const credit = this.#receiveWindow.consume()
    if (credit > 0) this.#channel.send(messageType.credit, noStream, u16(credit))
  }
}

/** Where ENDs are put together: one at a time, whichever stream's, as a channel is done with its data when it returns. */
const endData = new Uint8Array(1 + partSize)
endData[0] = toWire('done')

function endOf(part: Uint8Array): Uint8Array {
  endData.set(part, 1)
  return endData.subarray(0, 1 + part.length)
}

/** Takes up to `length` bytes from the front of `queue`; several small pieces are joined. */
function takePart(queue: Uint8Array[], length: number): Uint8Array {
  const first = queue[0]
  if (first === undefined) return nothing
  if (first.length > length) {
    queue[0] = first.subarray(length)
    return first.subarray(0, length)
  }
  queue.shift()
  if (first.length === length || queue.length === 0) return first
  return concat(first, takePart(queue, length - first.length))
}

const unset: StreamHandler = {
  onData() {},
  onEnd() {},
}
