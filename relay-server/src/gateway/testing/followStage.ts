/** A client on one circuit that follows the heads of a chain, by a clock that stands still until a test moves it. */
import { cutRecords, type Stream } from '@nightjar/shared/circuit'
import { counterOf, type EnvelopeSession, recordSize } from '@nightjar/shared/envelope'
import type { ErrorCode } from '@nightjar/shared/errors'
import { decodeAnswer, encodeQuestion, type Json, type Outcome, type Question } from '@nightjar/shared/rpc'
import { second } from '@nightjar/shared/runtime'
import { FakeClock } from '@nightjar/shared/testing'
import { createGateway, type OwnGateway } from '../gateway.ts'
import { FollowedChain } from './blocks.ts'
import { makeKeys, TestCircuit, type TestKeys } from './circuit.ts'
import { passing } from './context.ts'

export const every = 2 * second
export const question: Question = { chain: 1, cells: 4, method: 'eth_subscribe', params: ['newHeads'] }

/** One stream of heads, as the client sees it. */
export interface Followed {
  readonly stream: Stream
  readonly outcomes: Outcome[]
  readonly ends: ErrorCode[]
}

export interface FollowOptions {
  readonly circuit?: TestCircuit
  readonly session?: EnvelopeSession
  /** False: the client gives no credit for what it receives. */
  readonly credits?: boolean
  /** The client says that the answers take none. */
  readonly isFree?: boolean
}

export class FollowStage {
  readonly clock = new FakeClock()
  readonly chain = new FollowedChain()
  readonly gateway: OwnGateway
  readonly keys: TestKeys
  readonly circuit: TestCircuit
  session!: EnvelopeSession

  private constructor(keys: TestKeys) {
    this.gateway = createGateway(new Map([[1, { upstreams: this.chain, headsEvery: every }]]), {
      clock: this.clock,
      random: () => 0.5,
      ...passing,
    })
    this.keys = keys
    this.circuit = new TestCircuit(this.gateway, keys)
  }

  /** With the envelope agreed on, and nothing followed yet. */
  static async set(): Promise<FollowStage> {
    const stage = new FollowStage(await makeKeys())
    stage.session = await stage.circuit.greet()
    return stage
  }

  followWith(record: Uint8Array, cells: number, options: FollowOptions = {}): Followed {
    const { circuit = this.circuit, session = this.session, credits = true, isFree = false } = options
    const outcomes: Outcome[] = []
    const ends: ErrorCode[] = []
    const handler = cutRecords({
      stream: () => (credits ? stream : { ...stream, consumed() {} }),
      size: recordSize(cells),
      onRecord: (each) => void outcomes.push(decodeAnswer(session.open(each, counterOf(record)))),
      onEnd: (code) => void ends.push(code),
    })
    const stream: Stream = circuit.client.open(
      'follow',
      new Uint8Array(0),
      handler,
      { data: record, end: true },
      { isFree },
    )
    return { stream, outcomes, ends }
  }

  /** Follows, with all delivered that comes at once. */
  async follow(change: Partial<Question> = {}, options: FollowOptions = {}): Promise<Followed> {
    const { circuit = this.circuit, session = this.session } = options
    const asked = { ...question, ...change }
    const followed = this.followWith(session.seal(encodeQuestion(asked), 1), asked.cells, options)
    await circuit.settle()
    return followed
  }

  /** The chain shows block `number`, and the next poll finds it. */
  async grow(number: number, fork = 0): Promise<void> {
    this.chain.show(number, fork)
    await this.clock.elapse(every)
    await this.circuit.settle()
  }
}

export function numbers({ outcomes }: Followed): number[] {
  return outcomes.map((outcome) => Number((headerIn(outcome) as { number: string }).number))
}

export function headerIn(outcome: Outcome): Json {
  if ('error' in outcome) throw new Error(outcome.error.message)
  return outcome.result
}

export function codeIn(outcome: Outcome | undefined): unknown {
  return outcome !== undefined && 'error' in outcome
    ? (outcome.error.data as { nightjar: string }).nightjar
    : 'no error'
}
