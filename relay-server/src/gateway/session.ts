/**
 * The gateway's services on one circuit: `envelope` agrees on keys with whoever seals, once; `rpc` takes one sealed
 * question per stream and gives one sealed answer; `follow` goes on answering one (followStream.ts).
 */
import { setMaxListeners } from 'node:events'
import { type Accept, type Budget, collect, type Stream } from '@nightjar/shared/circuit'
import type { Crypto } from '@nightjar/shared/crypto'
import { counterOf, EnvelopeSession, recordSize, sizeClass } from '@nightjar/shared/envelope'
import { asNightjarError, type ErrorCode, NightjarError } from '@nightjar/shared/errors'
import { answerHandshake, helloSize, purpose, type ResponderSecrets } from '@nightjar/shared/handshake'
import { limits } from '@nightjar/shared/limits'
import { decodeQuestion, encodeAnswer, type Question, service, toRpcError } from '@nightjar/shared/rpc'
import { pushAnswers } from './followStream.ts'
import type { Gateway } from './gateway.ts'

export interface SessionOptions {
  readonly crypto: Crypto
  readonly gateway: Gateway
  secrets(): ResponderSecrets
  /** Calls `listener` when the circuit ends. */
  onEnded(listener: () => void): void
}

/** The services for one circuit. */
export function serveGateway(options: SessionOptions): Accept {
  const { crypto, gateway } = options
  const ended = new AbortController()
  // Each question that is under way listens for the end; Node warns of more than ten.
  setMaxListeners(limits.streamsPerBranch, ended.signal)
  const budget: Budget = { left: limits.questionBytesPerBranch }
  const followed = new Set<Stream>()
  let session: EnvelopeSession | undefined
  let greeted = false
  options.onEnded(() => {
    ended.abort()
    session?.destroy()
  })

  async function greet(stream: Stream, hello: Uint8Array): Promise<void> {
    const answer = await answerHandshake(crypto, hello, options.secrets())
    if (answer.hello.purpose !== purpose.envelope) throw new NightjarError('envelope-rejected', { detail: 'purpose' })
    session = new EnvelopeSession(crypto, answer.keys, 'gateway')
    stream.send(answer.reply, true)
  }

  async function answer(stream: Stream, open: EnvelopeSession, record: Uint8Array): Promise<void> {
    const text = open.open(record)
    const asked = counterOf(record)

    function send(answer: Uint8Array, minimum: number): void {
      try {
        const cells = sizeClass(answer.length, { minimum, maximum: limits.answerCells, tooLarge: 'answer-too-large' })
        stream.send(open.seal(answer, cells, asked), true)
      } catch (error) {
        const tooLarge = encodeAnswer({ error: toRpcError(asNightjarError(error)) })
        stream.send(open.seal(tooLarge, minimum, asked), true)
      }
    }

    let question: Question
    try {
      question = decodeQuestion(text)
    } catch (error) {
      return send(encodeAnswer({ error: toRpcError(asNightjarError(error)) }), 1)
    }
    const outcome = await gateway.answer(question, ended.signal)
    if (ended.signal.aborted) return
    send(encodeAnswer(outcome), question.cells)
  }

  return (stream, opening) => {
    const fail = (error: unknown) => stream.reset(asNightjarError(error).code)
    // A stream that failed before its question was whole needs no answer.
    const onFailure = (_code: ErrorCode) => {}

    if (opening.service === service.envelope) {
      if (greeted) return 'protocol-violation'
      greeted = true
      const onMessage = (hello: Uint8Array) => void greet(stream, hello).catch(fail)
      return collect({ stream: () => stream, maxBytes: helloSize, budget, onMessage, onFailure })
    }
    if (opening.service === service.rpc) {
      const open = session
      if (open === undefined) return 'envelope-rejected'
      const onMessage = (record: Uint8Array) => void answer(stream, open, record).catch(fail)
      const maxBytes = recordSize(limits.questionCells)
      return collect({ stream: () => stream, maxBytes, budget, onMessage, onFailure })
    }
    if (opening.service === service.follow) {
      if (session === undefined) return 'envelope-rejected'
      if (followed.size >= limits.followedPerCircuit) return 'limit-reached'
      followed.add(stream)
      return pushAnswers({ stream, session, gateway, budget, onOver: () => followed.delete(stream) })
    }
    return 'unknown-service'
  }
}
