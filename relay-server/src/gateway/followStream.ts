/**
 * The service `follow` on one stream: a sealed question, then sealed answers, all of the size that the question names and
 * whatever it follows. Only what is newest waits to be sent: a client that is slow is sent that when there is room again,
 * and asks for what it missed. Where the answers take no credit, nobody says that there is room: they keep to a pace.
 */
import { type Budget, collect, type Stream, type StreamHandler } from '@nightjar/shared/circuit'
import { counterOf, type EnvelopeSession, recordOverhead, recordSize } from '@nightjar/shared/envelope'
import { asNightjarError, type ErrorCode, NightjarError } from '@nightjar/shared/errors'
import { limits } from '@nightjar/shared/limits'
import { decodeQuestion, encodeAnswer, type Question, toRpcError } from '@nightjar/shared/rpc'
import type { Gateway } from './gateway.ts'
import type { Pace } from './pace.ts'

/** What one stream follows. */
export interface Followed {
  /**
   * Tells `listener` from now on; at once where there is something to tell.
   * @throws NightjarError `limit-reached`
   */
  start(listener: Listener): void
  /** Nothing is told any more; may be called more than once. `isLost`: the client did not ask for it, its branch is gone. */
  stop(isLost: boolean): void
}

export interface Listener {
  /** The newest answers, in order. What was told before and is not sent yet is out of date. */
  onAnswers(texts: readonly Uint8Array[]): void
  /** Nothing more comes; `done` where all has been told. */
  onEnd(code: ErrorCode): void
}

export interface FollowStreamOptions {
  readonly stream: Stream
  readonly session: EnvelopeSession
  readonly gateway: Pick<Gateway, 'follow'>
  readonly budget: Budget
  /** What the answers keep to; undefined where they take credit. */
  readonly pace: Pace | undefined
  /** Nothing is sent any more; may be called more than once. */
  onOver(): void
}

/** Of answers that take no credit: what wallets watch with. */
const mostFreeCells = 16
const nothing = new Uint8Array(0)

export function pushAnswers(options: FollowStreamOptions): StreamHandler {
  const { stream, session, gateway, budget, pace } = options
  let followed: Followed | undefined
  /** Size class of the answers; until the question is known, the one for saying that it is malformed. */
  let cells = 1
  /** Counter of the question. */
  let asked = 0
  /** The newest answers, until they are sent. */
  let waiting: readonly Uint8Array[] = []
  /** The first of them is on its way, or waits for its turn. */
  let isSending = false
  /** Nothing follows what waits. */
  let isComplete = false

  const listener: Listener = {
    onAnswers(texts) {
      waiting = texts
      push()
    },
    onEnd(code) {
      if (code === 'done') return complete()
      over(false)
      stream.reset(code)
    },
  }

  function begin(record: Uint8Array): void {
    let text: Uint8Array
    try {
      text = session.open(record)
      asked = counterOf(record)
    } catch (error) {
      return listener.onEnd(asNightjarError(error).code)
    }
    try {
      const question: Question = decodeQuestion(text)
      cells = question.cells
      if (pace !== undefined && cells > mostFreeCells) throw new NightjarError('bad-request', { detail: 'cells' })
      followed = gateway.follow(question)
      followed.start(listener)
    } catch (error) {
      refuse(error)
    }
  }

  function push(): void {
    if (isSending) return
    if (waiting.length > 0) {
      isSending = true
      if (pace === undefined) sendNext()
      else pace.enter(cells, sendNext)
    } else if (isComplete) stream.send(nothing, true)
  }

  function sendNext(): void {
    const [first] = waiting as [Uint8Array]
    if (first.length + recordOverhead > recordSize(cells)) refuse(new NightjarError('answer-too-large'))
    const [next, ...later] = waiting as [Uint8Array]
    waiting = later
    stream.send(session.seal(next, cells, asked), isComplete && later.length === 0)
  }

  /** Says why nothing comes, or nothing more, in the class of the answers. */
  function refuse(error: unknown): void {
    waiting = [encodeAnswer({ error: toRpcError(asNightjarError(error)) })]
    complete()
  }

  /** What waits is all that is still sent; until it has left, the stream holds its place. */
  function complete(): void {
    isComplete = true
    followed?.stop(false)
    push()
  }

  function over(isLost: boolean): void {
    pace?.leave(sendNext)
    followed?.stop(isLost)
    options.onOver()
  }

  return {
    // Told of a reset, and of the circuit's end, also after the question.
    ...collect({
      stream: () => stream,
      maxBytes: recordSize(limits.questionCells),
      budget,
      onMessage: begin,
      onFailure: (code) => over(code === 'link-lost'),
    }),
    onDrained() {
      isSending = false
      pace?.leave(sendNext)
      push()
    },
    onSent: () => over(false),
  }
}
