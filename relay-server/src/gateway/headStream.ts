/**
 * The service `heads` on one stream: a sealed question, then a sealed answer for each new head, all of the size that the
 * question names. At most one answer waits to be sent: a client that is slow is sent the newest head when there is room
 * again, and asks for what it missed.
 */
import { type Budget, collect, type Stream, type StreamHandler } from '@nightjar/shared/circuit'
import { counterOf, type EnvelopeSession, recordOverhead, recordSize } from '@nightjar/shared/envelope'
import { asNightjarError, NightjarError } from '@nightjar/shared/errors'
import { limits } from '@nightjar/shared/limits'
import { decodeQuestion, encodeAnswer, type Question, toRpcError } from '@nightjar/shared/rpc'
import type { HeadListener, Heads } from './follower.ts'
import type { Gateway } from './gateway.ts'
import type { Head } from './header.ts'

export interface HeadStreamOptions {
  readonly stream: Stream
  readonly session: EnvelopeSession
  readonly gateway: Pick<Gateway, 'heads'>
  readonly budget: Budget
  /** Nothing is sent any more; may be called more than once. */
  onOver(): void
}

export function pushHeads(options: HeadStreamOptions): StreamHandler {
  const { stream, session, gateway, budget } = options
  let heads: Heads | undefined
  /** Size class of the answers; until the question is known, the one for saying that it is malformed. */
  let cells = 1
  /** Counter of the question. */
  let asked = 0
  /** The newest head, until it is sent. */
  let newest: Head | undefined
  let isSending = false

  const listener: HeadListener = {
    onHead(head) {
      newest = head
      push()
    },
    onEnd(code) {
      over()
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
      heads = gateway.heads(question)
    } catch (error) {
      return refuse(error)
    }
    heads.follow(listener)
  }

  function push(): void {
    if (isSending || newest === undefined) return
    const { text } = newest
    newest = undefined
    if (text.length + recordOverhead > recordSize(cells)) return refuse(new NightjarError('answer-too-large'))
    isSending = true
    stream.send(session.seal(text, cells, asked), false)
  }

  /** Says why nothing comes, or nothing more, in the class of the answers. */
  function refuse(error: unknown): void {
    over()
    stream.send(session.seal(encodeAnswer({ error: toRpcError(asNightjarError(error)) }), cells, asked), true)
  }

  function over(): void {
    heads?.unfollow(listener)
    options.onOver()
  }

  return {
    // Told of a reset, and of the circuit's end, also after the question.
    ...collect({
      stream: () => stream,
      maxBytes: recordSize(limits.questionCells),
      budget,
      onMessage: begin,
      onFailure: over,
    }),
    onDrained() {
      isSending = false
      push()
    },
  }
}
