/**
 * The service `follow` on one stream: a sealed question, then sealed answers, all of the size that the question names and
 * whatever it follows. Only what is newest waits to be sent: a client that is slow is sent that when there is room again,
 * and asks for what it missed.
 */
import { type Budget, collect, type Stream, type StreamHandler } from '@nightjar/shared/circuit'
import { counterOf, type EnvelopeSession, recordOverhead, recordSize } from '@nightjar/shared/envelope'
import { asNightjarError, type ErrorCode, NightjarError } from '@nightjar/shared/errors'
import { limits } from '@nightjar/shared/limits'
import { decodeQuestion, encodeAnswer, type Question, toRpcError } from '@nightjar/shared/rpc'
import type { Gateway } from './gateway.ts'

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
  /** Nothing is sent any more; may be called more than once. */
  onOver(): void
}

const nothing = new Uint8Array(0)

export function pushAnswers(options: FollowStreamOptions): StreamHandler {
  const { stream, session, gateway, budget } = options
  let followed: Followed | undefined
  /** Size class of the answers; until the question is known, the one for saying that it is malformed. */
  let cells = 1
  /** Counter of the question. */
  let asked = 0
  /** The newest answers, until they are sent. */
  let waiting: readonly Uint8Array[] = []
  let isSending = false
  /** Nothing follows what waits. */
  let isComplete = false

  const listener: Listener = {
    onAnswers(texts) {
      waiting = texts
      push()
    },
    onEnd(code) {
      over(false)
      if (code !== 'done') return stream.reset(code)
      isComplete = true
      push()
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
      followed = gateway.follow(question)
      followed.start(listener)
    } catch (error) {
      refuse(error)
    }
  }

  function push(): void {
    if (isSending) return
    const [next, ...later] = waiting
    waiting = later
    if (next === undefined) {
      if (isComplete) stream.send(nothing, true)
      return
    }
    if (next.length + recordOverhead > recordSize(cells)) return refuse(new NightjarError('answer-too-large'))
    isSending = true
    stream.send(session.seal(next, cells, asked), false)
  }

  /** Says why nothing comes, or nothing more, in the class of the answers. */
  function refuse(error: unknown): void {
    over(false)
    stream.send(session.seal(encodeAnswer({ error: toRpcError(asNightjarError(error)) }), cells, asked), true)
  }

  function over(isLost: boolean): void {
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
      push()
    },
  }
}
