/**
 * One user's private path: what the layer under test asks and follows, carried in time over modelled branches to gateways
 * and the provider behind them, which writes down what each party sees. Sizes are the product's; no cell is made and nothing
 * is sealed.
 */
import type { Relay } from '@nightjar/shared/directory'
import { recordOverhead } from '@nightjar/shared/envelope'
import { asNightjarError, type ErrorCode, NightjarError } from '@nightjar/shared/errors'
import type { Follower, Following, FollowOrder, Order } from '@nightjar/shared/requests'
import { type Call, encodeQuestion, methodOf, type Outcome, type Question, watchMethod } from '@nightjar/shared/rpc'
import { pause } from '@nightjar/shared/runtime'
import { cacheability, type OwnAccounts } from '@nightjar/shared/wallet'
import { type Branch, Branches, type BranchesOptions, round } from './branches.ts'
import { Watching, type WatchParams } from './gateway.ts'
import { accountState, headerOf, Node, quantityOf, wordOf } from './node.ts'
import type { Trunks } from './trunks.ts'
import { chainId } from './world.ts'

const attempts = 6
/** Bytes of a question in a cell. */
const part = 928

export interface PathOptions extends BranchesOptions {
  /** As whoever reads a question finds them in it. */
  readonly own: OwnAccounts
}

export class Path {
  readonly #options: PathOptions
  readonly #branches: Branches
  readonly #node = new Node()
  readonly #watching = new Map<string, Watching>()

  constructor(options: PathOptions) {
    this.#options = options
    this.#branches = new Branches(options, (id) => this.#watching.delete(id))
  }

  get trunks(): Trunks {
    return this.#branches.trunks
  }

  /** @throws NightjarError where there is no path, or it was lost each time */
  async request(order: Order, onAnswered?: (gateway: string) => void): Promise<Outcome> {
    const { clock } = this.#options
    for (let attempt = 0; attempt < attempts; attempt++) {
      const branch = await this.#branches.of(order.group)
      const { outcome, latency } = this.#exchange(branch, order.call)
      await pause(clock, latency)
      if (branch.isLost) continue
      onAnswered?.(branch.gateway.id)
      return outcome
    }
    throw new NightjarError('link-lost')
  }

  /** Over the lives of branches, as the product's `follow`. @throws NightjarError where there is no path */
  async follow(order: FollowOrder, follower: Follower): Promise<Following> {
    let isOver = false
    const onEnd = (code: ErrorCode) => {
      if (isOver) return
      if (code !== 'branch-retired') return follower.onEnd(code)
      begin().then(keep, (error: unknown) => follower.onEnd(asNightjarError(error).code))
    }
    const begin = () => this.#followOnce(order, { ...follower, onEnd })
    const keep = (next: Following) => {
      following = next
      if (isOver) next.stop()
    }
    let following = await begin()
    return {
      stop() {
        isOver = true
        following.stop()
      },
    }
  }

  async #followOnce({ group, questionFor }: FollowOrder, handler: Follower): Promise<Following> {
    const branch = await this.#branches.of(group)
    const question = questionFor(branch.gateway.id)
    this.#branches.seen(branch, { event: 'follow', up: cellsOf(question), down: 0 })
    const isWatch = question.method === watchMethod
    if (isWatch) this.#branches.keep(branch)
    const told = (outcome: Outcome) => {
      branch.lastUsed = this.#now
      this.#branches.seen(branch, { event: 'push', up: 0, down: question.cells }, -branch.latency)
      if (branch.followers.has(end)) handler.onOutcome(outcome, branch.gateway.id)
    }
    const end = (code: ErrorCode) => {
      if (branch.followers.delete(end)) handler.onEnd(code)
    }
    const onDone = () => {
      branch.served.delete(lose)
      end('done')
    }
    const stop = isWatch ? this.#watch(branch, question, told, onDone) : this.#followHeads(branch, told)
    const lose = () => {
      branch.served.delete(lose)
      stop(true)
    }
    branch.followers.add(end)
    branch.served.add(lose)
    return {
      stop: () => {
        // Nothing that is said on one that is lost arrives, and what was left goes on.
        if (!branch.followers.delete(end)) return
        branch.served.delete(lose)
        stop(false)
      },
    }
  }

  get #now(): number {
    return this.#options.clock.now()
  }

  #exchange(branch: Branch, call: Call): { readonly outcome: Outcome; readonly latency: number } {
    const { world, chance, views, own } = this.#options
    const { gateway } = branch
    branch.lastUsed = this.#now
    const arrival = this.#now + branch.latency + chance.waiting(4)
    const accounts = own.namedIn(call)
    const cells = cellsOf({ ...call, chain: chainId, cells: 1 })
    const head = world.headAt(gateway.id, arrival)
    if (call.method === 'eth_sendRawTransaction') this.#broadcast(call, accounts[0] ?? '', arrival)
    const outcome = this.#node.answer(call, head, world.timeOf)
    const block = blockOf(call)
    const facts = { accounts, method: call.method, ...(block === undefined ? {} : { block }) }
    const failed = 'error' in outcome ? { error: true } : {}
    this.#branches.seen(branch, { event: 'exchange', up: cells, down: methodOf(call.method).answerCells })
    const time = arrival - world.start
    views.write('gateway', {
      ...{ gateway: gateway.name, branch: branch.id, event: 'request', time: round(time) },
      ...{ ...facts, cells, ...failed },
    })
    const upstream = 10 + chance.waiting(15)
    // What is the same for everybody a gateway has of its own accord, and what names nobody pairs nobody.
    if (accounts.length > 0 && cacheability(call) === 'never') {
      const atProvider = round(time + upstream / 2)
      views.write('provider', { gateway: gateway.name, ...facts, time: atProvider, ...failed })
    }
    return { outcome, latency: arrival - this.#now + branch.latency + upstream }
  }

  #broadcast(call: Call, sender: string, arrival: number): void {
    const { world, chance, views } = this.#options
    // It takes a moment to those who make blocks, and some wait for the next but one.
    const seen = arrival + 200 + chance.waiting(400)
    let block = world.headAt(this.trunks.pinned[0]?.id ?? '', world.start)
    block += Math.ceil((seen - world.timeOf(block)) / (world.timeOf(block + 1) - world.timeOf(block)))
    if (chance.next() < 0.15) block += 1 + chance.index(2)
    this.#node.take(call, block)
    views.write('chain', { sender, block, time: round(seen - world.start) })
  }

  #watch(branch: Branch, question: Question, told: (outcome: Outcome) => void, done: () => void) {
    const { clock, world, views } = this.#options
    const [params] = question.params as unknown as readonly [WatchParams] // as the layer under test writes them
    const accounts = params.account === undefined ? [] : [params.account]
    const { name } = branch.gateway
    const record = (event: 'watch' | 'unwatch', delay: number) =>
      views.write('gateway', {
        ...{ gateway: name, branch: branch.id, event, time: round(this.#now + delay - world.start), accounts },
        method: params.account === undefined ? 'eth_getTransactionReceipt' : 'eth_getProof',
      })
    record('watch', branch.latency)
    let stop: ((isLost: boolean) => void) | undefined
    let isOver = false
    // The question takes as long to the gateway as what it tells takes back.
    clock.after(branch.latency, () => {
      if (isOver) return
      stop = this.#watchingAt(branch.gateway).follow(params, {
        onSlot: (block) => {
          views.write('gateway', {
            ...{
              gateway: name,
              branch: branch.id,
              event: 'slot',
              time: round(this.#now - world.start),
              accounts,
              block,
            },
          })
          const outcome = this.#slotOf(params, block)
          clock.after(branch.latency + 20, () => told(outcome))
        },
        onDone: () => clock.after(branch.latency + 20, done),
      })
    })
    return (isLost: boolean) => {
      isOver = true
      if (!isLost) record('unwatch', branch.latency)
      clock.after(isLost ? 0 : branch.latency, () => stop?.(isLost))
    }
  }

  #slotOf({ account, transaction }: WatchParams, block: number): Outcome {
    const number = quantityOf(block)
    if (account !== undefined) return { result: { number, hash: wordOf(block), proof: null, ...accountState } }
    return { result: { number, receipt: this.#node.receipt(transaction ?? '', block) } }
  }

  #watchingAt(gateway: Relay): Watching {
    const known = this.#watching.get(gateway.id)
    if (known !== undefined) return known
    const { clock, world, chance, views } = this.#options
    const since = new Map<string, number>()
    const watching = new Watching({
      clock,
      world,
      gateway: gateway.id,
      random: () => chance.next(),
      onRead: ({ account, transaction, stride }, block) => {
        const time = round(this.#now + 8 + chance.waiting(5) - world.start)
        // It has restarted since, and knows of no watch.
        if (this.#watching.get(gateway.id) !== watching) return true
        if (account !== undefined) {
          views.write('provider', { gateway: gateway.name, accounts: [account], method: 'eth_getProof', block, time })
          return false
        }
        const hash = transaction ?? ''
        const accounts = this.#options.own.namedInValue(hash)
        views.write('provider', { gateway: gateway.name, accounts, method: 'eth_getTransactionReceipt', time })
        if (this.#node.receipt(hash, block) !== null && !since.has(hash)) since.set(hash, block)
        return block >= (since.get(hash) ?? block) + 64 * stride
      },
    })
    this.#watching.set(gateway.id, watching)
    return watching
  }

  #followHeads(branch: Branch, told: (outcome: Outcome) => void): (isLost: boolean) => void {
    const { clock, world } = this.#options
    const { id } = branch.gateway
    let isOver = false
    const tell = (block: number, due: number) => {
      clock.after(due + branch.latency - this.#now, () => {
        if (isOver) return
        told({ result: headerOf(block, world.timeOf(block)) })
        tell(block + 1, world.headTime(id, block + 1))
      })
    }
    tell(world.headAt(id, this.#now), this.#now + branch.latency)
    return () => {
      isOver = true
    }
  }
}

/** Class of the sealed question. */
function cellsOf(question: Question): number {
  const bytes = encodeQuestion(question).length + recordOverhead
  return 2 ** Math.max(0, Math.ceil(Math.log2(bytes / part)))
}

/** The block that a call names by its number. */
function blockOf({ method, params }: Call): number | undefined {
  const last: unknown =
    Array.isArray(params) && /^eth_(call|get(Balance|Code|TransactionCount|Proof))$/.test(method)
      ? params.at(-1)
      : undefined
  return typeof last === 'string' && last.startsWith('0x') && last.length < 20 ? Number(last) : undefined
}
