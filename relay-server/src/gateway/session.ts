/**
 * The gateway's services on one circuit: `envelope` agrees on keys with whoever seals, once; `rpc` takes one sealed
 * question per stream and gives one sealed answer; `follow` goes on answering one (followStream.ts).
 */
import { setMaxListeners } from 'node:events'
import { type Accept, collect, type Stream, type StreamHandler } from '@nightjar/shared/circuit'
import type { Crypto } from '@nightjar/shared/crypto'
import { counterOf, EnvelopeSession, recordSize, sizeClass } from '@nightjar/shared/envelope'
import { asNightjarError, NightjarError } from '@nightjar/shared/errors'
import { answerHandshake, helloSize, purpose, type ResponderSecrets } from '@nightjar/shared/handshake'
import { limits } from '@nightjar/shared/limits'
import { decodeQuestion, encodeAnswer, type Question, service, toRpcError } from '@nightjar/shared/rpc'
import type { Clock } from '@nightjar/shared/runtime'
import type { OnRefused, Refusal } from '../limits/refusal.ts'
import { type AnswerMemory, CircuitMemory } from './answerMemory.ts'
import { pushAnswers } from './followStream.ts'
import type { Gateway } from './gateway.ts'
import { Pace } from './pace.ts'
import { Turns } from './turns.ts'
import { QuestionBudget, Unfinished } from './unfinished.ts'
import { Untaken } from './untaken.ts'

export interface SessionOptions {
  readonly crypto: Crypto
  readonly clock: Clock
  readonly gateway: Gateway
  /** Of the process. */
  readonly memory: AnswerMemory
  readonly onRefused: OnRefused
  secrets(): ResponderSecrets
  /** Calls `listener` when the circuit ends. */
  onEnded(listener: () => void): void
}

/** A sealed question on its stream. */
interface Sealed {
  readonly stream: Stream
  readonly open: EnvelopeSession
  readonly record: Uint8Array
  /** Nobody waits for its answer. */
  isOver: boolean
}

/** The services for one circuit. */
export function serveGateway(options: SessionOptions): Accept {
  const { crypto, clock, gateway, onRefused } = options
  const ended = new AbortController()
  // Each question that is under way listens for the end; Node warns of more than ten.
  setMaxListeners(limits.questionsAtOnce, ended.signal)
  const memory = new CircuitMemory(options.memory)
  const budget = new QuestionBudget(memory)
  const unfinished = new Unfinished(clock, onRefused)
  const followed = new Set<Stream>()
  const pace = new Pace(clock)
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

  /** An error that is sealed would have to be held like an answer. */
  function refuse(stream: Stream, refusal: Refusal): void {
    onRefused(refusal)
    stream.reset('limit-reached')
  }

  async function answer(sealed: Sealed): Promise<void> {
    const { stream, open, record } = sealed
    const text = open.open(record)
    const asked = counterOf(record)

    function send(answer: Uint8Array, minimum: number): void {
      let cells = minimum
      let fitting = answer
      try {
        cells = sizeClass(answer.length, { minimum, maximum: limits.answerCells, tooLarge: 'answer-too-large' })
      } catch (error) {
        fitting = encodeAnswer({ error: toRpcError(asNightjarError(error)) })
      }
      const refusal = untaken.refusalOf(recordSize(cells))
      if (refusal !== undefined) return refuse(stream, refusal)
      untaken.send(stream, open.seal(fitting, cells, asked))
    }

    let question: Question
    try {
      question = decodeQuestion(text)
    } catch (error) {
      return send(encodeAnswer({ error: toRpcError(asNightjarError(error)) }), 1)
    }
    if (recordSize(question.cells) > memory.room) return refuse(stream, 'answer-memory')
    const outcome = await gateway.answer(question, ended.signal)
    if (sealed.isOver) return
    send(encodeAnswer(outcome), question.cells)
  }

  const untaken: Untaken = new Untaken({ clock, memory, onRefused, onRoom: () => turns.goOn() })
  const turns = new Turns<Sealed>({
    atOnce: limits.questionsAtOnce,
    hasRoom: () => untaken.hasRoom,
    begin(sealed) {
      answer(sealed)
        .catch((error: unknown) => sealed.stream.reset(asNightjarError(error).code))
        .then(() => {
          budget.left += sealed.record.length
          turns.end()
        })
    },
  })

  /** Takes questions on `stream`, of which there is one. */
  function take(stream: Stream, open: EnvelopeSession): StreamHandler {
    let sealed: Sealed | undefined
    const handler = collect({
      stream: () => stream,
      maxBytes: recordSize(limits.questionCells),
      budget,
      onMessage(record) {
        sealed = { stream, open, record, isOver: false }
        // Until it is answered it takes of the same as while it was not whole.
        budget.left -= record.length
        turns.add(sealed)
      },
      onFailure(code) {
        unfinished.forget(stream)
        if (sealed === undefined) {
          if (code === 'limit-reached' && memory.room === 0) onRefused('answer-memory')
          return
        }
        sealed.isOver = true
        if (turns.drop(sealed)) budget.left += sealed.record.length
        untaken.forget(stream)
        // With the circuit all others are over too.
        if (code !== 'link-lost') turns.goOn()
      },
    })
    return {
      ...unfinished.watched(stream, handler),
      onDrained: () => untaken.goOn(stream),
      onSent() {
        untaken.sent(stream)
        turns.goOn()
      },
    }
  }

  return (stream, opening) => {
    const fail = (error: unknown) => stream.reset(asNightjarError(error).code)
    // A stream that failed before its question was whole needs no answer.
    const onFailure = () => unfinished.forget(stream)
    // The answers to all else are bounded by credit alone.
    if (opening.isFree && opening.service !== service.follow) return 'protocol-violation'

    if (opening.service === service.envelope) {
      if (greeted) return 'protocol-violation'
      greeted = true
      const onMessage = (hello: Uint8Array) => void greet(stream, hello).catch(fail)
      const handler = collect({ stream: () => stream, maxBytes: helloSize, budget, onMessage, onFailure })
      return unfinished.watched(stream, handler)
    }
    if (opening.service === service.rpc) {
      return session === undefined ? 'envelope-rejected' : take(stream, session)
    }
    if (opening.service === service.follow) {
      if (session === undefined) return 'envelope-rejected'
      if (followed.size >= limits.followedPerCircuit) return 'limit-reached'
      followed.add(stream)
      const onOver = () => {
        unfinished.forget(stream)
        followed.delete(stream)
      }
      const ofStream = { stream, session, gateway, budget, pace: opening.isFree ? pace : undefined, onOver }
      return unfinished.watched(stream, pushAnswers(ofStream))
    }
    return 'unknown-service'
  }
}
