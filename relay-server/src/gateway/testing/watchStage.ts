/** Clients that watch a chain through a gateway, by a clock that stands still until a test moves it. */
import { fromUtf8 } from '@nightjar/shared/bytes'
import type { ErrorCode } from '@nightjar/shared/errors'
import type { Json, Question } from '@nightjar/shared/rpc'
import { second } from '@nightjar/shared/runtime'
import { FakeClock } from '@nightjar/shared/testing'
import type { Followed, Listener } from '../followStream.ts'
import { createGateway, type OwnGateway } from '../gateway.ts'
import { passing } from './context.ts'
import { ScriptedChain } from './scriptedChain.ts'

export const poll = 1 * second
export const blockTime = 12 * second

export interface WatchFields {
  readonly account?: string
  readonly transaction?: string
  readonly stride: number
  readonly delay: number
  readonly secret?: string
}

/** One client's, who has one secret for all, unless `fields` say otherwise. */
export function questionOf(fields: WatchFields, chain = 1): Question {
  return { chain, cells: 16, method: 'nightjar_watch', params: [{ secret: '00'.repeat(16), ...fields }] }
}

/** What one client is told, decoded. */
export class Client implements Listener {
  readonly told: Json[][] = []
  /** How often it was told that the watch was there before. */
  joined = 0
  readonly ends: ErrorCode[] = []
  readonly followed: Followed

  constructor(followed: Followed) {
    this.followed = followed
  }

  onAnswers(texts: readonly Uint8Array[]): void {
    const answers = texts.map((text) => (JSON.parse(fromUtf8(text)) as { result: Json }).result)
    if (answers.some((answer) => (answer as { joined?: boolean }).joined)) this.joined += 1
    else this.told.push(answers)
  }

  onEnd(code: ErrorCode): void {
    this.ends.push(code)
    this.followed.stop(false)
  }

  get numbers(): number[][] {
    return this.told.map((answers) => answers.map((answer) => Number((answer as { number: string }).number)))
  }
}

/** Two chains, 1 and 10, with the same upstream. */
export class WatchStage {
  readonly clock = new FakeClock()
  readonly chain = new ScriptedChain(this.clock)
  readonly gateway: OwnGateway
  /** What the gateway gets for chance. */
  chance = 0.5

  constructor() {
    const chains = new Map([1, 10].map((id) => [id, { upstreams: this.chain, headsEvery: poll }]))
    this.gateway = createGateway(chains, { clock: this.clock, random: () => this.chance, ...passing })
  }

  /** Begins a watch, with the head known. */
  async watch(fields: WatchFields, chain = 1): Promise<Client> {
    const client = new Client(this.gateway.follow(questionOf(fields, chain)))
    client.followed.start(client)
    await this.clock.elapse(0)
    return client
  }

  /** Block after block up to `number`; the follower sees each a second after it is there. */
  async growTo(number: number): Promise<void> {
    while (this.chain.head < number) {
      this.chain.head += 1
      await this.clock.elapse(blockTime)
    }
  }

  /** At which blocks the account was read. */
  get proofs(): number[] {
    return this.chain.askedFor('eth_getProof').map(({ params }) => Number(params[2]))
  }
}
