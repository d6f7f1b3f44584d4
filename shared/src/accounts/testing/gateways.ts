/**
 * Gateways in memory: what each group's own one is asked, and when; and answers true to the chain, unless the test has it
 * lie, lag, fail or fall silent. Watches keep the times that the real ones keep (relay-server/src/gateway/watch.ts).
 */
import { recordOverhead, recordSize } from '../../envelope/index.ts'
import { type ErrorCode, NightjarError } from '../../errors/index.ts'
import type { Hex } from '../../proofs/index.ts'
import type { Follower, Following, FollowOrder, Order } from '../../requests/index.ts'
import {
  encodeAnswer,
  type Json,
  type Outcome,
  packNodes,
  type Question,
  toRpcError,
  transactionHash,
} from '../../rpc/index.ts'
import type { Clock } from '../../runtime.ts'
import type { Chain, MinedBlock } from './chain.ts'

export interface Asked {
  readonly group: string
  readonly at: number
  readonly what: 'request' | 'follow' | 'stop'
  readonly method: string
  readonly params: Json
}

/** How a group's gateway is at fault. */
export interface Fault {
  /** What it makes of a pushed value, or of an answer to `method`. */
  readonly forge?: (value: { readonly [name: string]: Json }, method: string) => { readonly [name: string]: Json }
  /** Its watches push nothing. */
  readonly isSilent?: boolean
  /** Nothing is answered at all. */
  readonly isGone?: boolean
  /** There is none: the network has too few operators. */
  readonly isNone?: boolean
  /** Proofs are not supported. */
  readonly hasNoProof?: boolean
  /** Blocks by which it is behind. */
  readonly lag?: number
}

interface Followed {
  readonly order: FollowOrder
  readonly question: Question
  readonly handler: Follower
  isOver: boolean
  isBusy: boolean
  taken: number
  told: string
}

export class Gateways {
  readonly asked: Asked[] = []
  readonly chain: Chain
  readonly #clock: Clock
  /** By group; a group's next gateway has none, unless the test says so again. */
  readonly faults = new Map<string, Fault>()
  readonly #switched = new Map<string, number>()
  readonly #followed = new Set<Followed>()
  /** Watches that there were, with the gateway that had them. */
  readonly #begun = new Set<string>()
  readonly receipts = new Map<string, Json>()
  /** By gateway, undefined where it is not known; of others each is its own. */
  readonly operators = new Map<string, string | undefined>()
  /** Answers to what is not asked of the chain. */
  answer: (order: Order) => Outcome = () => ({ result: '0x1' })

  constructor(clock: Clock, chain: Chain) {
    this.#clock = clock
    this.chain = chain
  }

  gatewayOf(group: string): string {
    return `${group} #${this.#switched.get(group) ?? 0}`
  }

  /** The group has another gateway from now on. */
  distrust(group: string, gateway: string): void {
    if (this.gatewayOf(group) !== gateway) return
    this.#switched.set(group, (this.#switched.get(group) ?? 0) + 1)
    this.faults.delete(group)
  }

  /** All groups whose name begins so lose their branches. */
  loseBranches(prefix: string, code: ErrorCode = 'link-lost'): void {
    for (const followed of [...this.#followed]) {
      if (!followed.order.group.startsWith(prefix)) continue
      this.#followed.delete(followed)
      followed.isOver = true
      followed.handler.onEnd(code)
    }
  }

  /** What the group follows is refused: an error, and the end. */
  refuse(group: string): void {
    for (const { order, handler } of this.#followed) {
      const error = { code: -32005, message: 'limit reached' }
      if (order.group === group) handler.onOutcome({ error }, this.gatewayOf(group))
    }
    this.loseBranches(group, 'done')
  }

  async request(order: Order, onAnswered?: (gateway: string) => void): Promise<Outcome> {
    const { group, call } = order
    const gateway = this.gatewayOf(group)
    this.#log('request', group, call)
    const fault = this.faults.get(group) ?? {}
    if (fault.isNone) throw new NightjarError('no-path')
    if (fault.isGone) throw new NightjarError('timed-out')
    const outcome = await this.#answerTo(order, fault)
    onAnswered?.(gateway)
    if (fault.forge === undefined || !('result' in outcome)) return outcome
    return { result: fault.forge({ value: outcome.result }, call.method).value ?? null }
  }

  async follow(order: FollowOrder, handler: Follower): Promise<Following> {
    const { group } = order
    const question = order.questionFor(this.gatewayOf(group))
    this.#log('follow', group, question)
    if (this.faults.get(group)?.isNone) throw new NightjarError('no-path')
    if (this.faults.get(group)?.isGone) throw new NightjarError('connect-failed')
    const stride = strideOf(question)
    const newest = this.#headFor(group).number
    const followed = {
      order,
      question,
      handler,
      isOver: false,
      isBusy: false,
      taken: newest - (newest % stride),
      told: '',
    }
    this.#followed.add(followed)
    if (question.method === 'eth_subscribe') queueMicrotask(() => this.#pushHead(followed))
    else this.#tellWhetherKnown(followed)
    return {
      stop: () => {
        if (!followed.isOver) this.#log('stop', group, question)
        followed.isOver = true
        this.#followed.delete(followed)
      },
    }
  }

  /** Watches linger, here for ever: who begins one again has it where it was. */
  #tellWhetherKnown({ order, question, handler }: Followed): void {
    const key = `${this.gatewayOf(order.group)} ${JSON.stringify(question.params)}`
    const gateway = this.gatewayOf(order.group)
    if (this.#begun.has(key)) queueMicrotask(() => handler.onOutcome({ result: { joined: true } }, gateway))
    this.#begun.add(key)
  }

  /** The chain has another head: those who follow it are told. */
  announce(): void {
    for (const followed of [...this.#followed]) {
      if (followed.question.method === 'eth_subscribe') this.#pushHead(followed)
      else this.#awaitSlot(followed)
    }
  }

  #pushHead(followed: Followed): void {
    const { group } = followed.order
    const head = this.#headFor(group)
    if (followed.isOver || followed.told === head.hash || this.faults.get(group)?.isSilent) return
    followed.told = head.hash
    followed.handler.onOutcome({ result: this.#forged(group, head.header, 'newHeads') }, this.gatewayOf(group))
  }

  #awaitSlot(followed: Followed): void {
    const { delay } = watchOf(followed.question)
    const newest = this.#headFor(followed.order.group).number
    // Where the chain has gone back behind the last slot, its block has yet to come again.
    if (newest < followed.taken) followed.taken = newest - (newest % strideOf(followed.question))
    if (followed.isBusy || newest - (newest % strideOf(followed.question)) <= followed.taken) return
    followed.isBusy = true
    this.#clock.after(delay, () => void this.#takeSlot(followed))
  }

  async #takeSlot(followed: Followed): Promise<void> {
    const { order, question, handler } = followed
    const stride = strideOf(question)
    const newest = this.#headFor(order.group).number
    const before = followed.taken
    followed.taken = newest - (newest % stride)
    const { account, transaction } = watchOf(question)
    const fault = this.faults.get(order.group) ?? {}
    const blocks = [before, followed.taken].flatMap((number) => this.chain.blocks[number] ?? [])
    for (const block of blocks) {
      if (block.number === before && (followed.told === '' || followed.told === block.hash)) continue
      const value =
        account === undefined ? this.#receiptAt(transaction, block) : await this.#valueAt(account, block, fault)
      if (followed.isOver || fault.isSilent) break
      followed.told = block.hash
      const outcome = { result: this.#forged(order.group, value, 'nightjar_watch') }
      if (!fits(question, outcome)) return this.#end(followed, 'answer-too-large')
      handler.onOutcome(outcome, this.gatewayOf(order.group))
    }
    followed.isBusy = false
    if (!followed.isOver) this.#awaitSlot(followed)
  }

  /** As a gateway does that cannot go on: it says why, and is done. */
  #end(followed: Followed, code: ErrorCode): void {
    const { order, handler } = followed
    this.#followed.delete(followed)
    followed.isOver = true
    handler.onOutcome({ error: toRpcError(new NightjarError(code)) }, this.gatewayOf(order.group))
    handler.onEnd('done')
  }

  #receiptAt(transaction: string | undefined, { number }: MinedBlock): { readonly [name: string]: Json } {
    return { number: hex(number), receipt: this.receipts.get(transaction ?? '') ?? null }
  }

  async #valueAt(account: Hex, block: MinedBlock, fault: Fault): Promise<{ readonly [name: string]: Json }> {
    const { balance, nonce, codeHash, storageHash, accountProof } = await this.chain.proof(account, block)
    const state = { number: hex(block.number), hash: block.hash, balance, nonce, codeHash } as {
      [name: string]: Json
    }
    if (fault.hasNoProof) return { ...state, storageHash: null, proof: null }
    return { ...state, storageHash: storageHash ?? null, proof: packNodes(accountProof as string[]) }
  }

  #forged(group: string, value: { readonly [name: string]: Json }, method: string): { readonly [name: string]: Json } {
    return this.faults.get(group)?.forge?.(value, method) ?? value
  }

  #headFor(group: string): MinedBlock {
    const lag = this.faults.get(group)?.lag ?? 0
    return this.chain.blocks.at(-1 - lag) as MinedBlock
  }

  async #answerTo(order: Order, fault: Fault): Promise<Outcome> {
    const { method, params = [] } = order.call
    const [first, second, third] = params as readonly Json[]
    const blockAt = (text: Json | undefined) =>
      text === 'latest' || text === 'pending' || text === undefined
        ? this.#headFor(order.group)
        : this.chain.blocks.slice(0, this.#headFor(order.group).number + 1)[Number(text)]
    switch (method) {
      case 'eth_blockNumber':
        return { result: hex(this.#headFor(order.group).number) }
      case 'eth_getBlockByNumber':
        return { result: second === true ? withNothingIn(blockAt(first)) : (blockAt(first)?.header ?? null) }
      case 'eth_getProof': {
        if (fault.hasNoProof) return { error: { code: -32601, message: 'the method eth_getProof is not available' } }
        const block = blockAt(third)
        return block === undefined ? notFound : { result: await this.chain.proof(first as Hex, block) }
      }
      case 'eth_getBalance':
      case 'eth_getTransactionCount': {
        const held = blockAt(second)?.holdings.get(first as Hex)
        if (held === undefined) return notFound
        return { result: `0x${(method === 'eth_getBalance' ? held.balance : held.nonce).toString(16)}` }
      }
      case 'eth_getCode':
        return { result: blockAt(second)?.holdings.get(first as Hex)?.code ?? '0x' }
      case 'eth_sendRawTransaction':
        return { result: transactionHash(first as string) }
      case 'eth_getTransactionReceipt':
        return { result: this.receipts.get(first as string) ?? null }
      default:
        return this.answer(order)
    }
  }

  #log(what: Asked['what'], group: string, { method, params = [] }: { method: string; params?: unknown }): void {
    // Params are JSON, or they would not be in a call.
    this.asked.push({ group, at: this.#clock.now(), what, method, params: params as Json })
  }
}

function withNothingIn(block: MinedBlock | undefined): Json {
  return block === undefined ? null : { ...block.header, transactions: [] }
}

const notFound: Outcome = { error: { code: -32000, message: 'header not found' } }

interface WatchParams {
  readonly account?: Hex
  readonly transaction?: string
  readonly stride: number
  readonly delay: number
}

function watchOf(question: Question): WatchParams {
  // As this layer writes them.
  const [params] = question.params as unknown as readonly [WatchParams]
  return params
}

function strideOf(question: Question): number {
  return question.method === 'nightjar_watch' ? watchOf(question).stride : 1
}

function hex(number: number): string {
  return `0x${number.toString(16)}`
}

function fits({ cells }: Question, outcome: Outcome): boolean {
  return encodeAnswer(outcome).length + recordOverhead <= recordSize(cells)
}
