/**
 * Asking until there is an answer. Reads may be asked again anywhere. A raw transaction is tried again at the same
 * gateway first, which sends each one once; at another gateway only after the chain says that it does not know it.
 * Once all gateways have failed there is a rest, as what comes back needs a moment for it, and then another round.
 */
import type { Awaitable } from '../crypto/index.ts'
import type { Relay } from '../directory/index.ts'
import { asNightjarError, type ErrorCode, NightjarError } from '../errors/index.ts'
import {
  type Call,
  catalogue,
  methodOf,
  nightjarCodeOf,
  type Outcome,
  type Question,
  transactionHash,
} from '../rpc/index.ts'
import { type Clock, pause, second } from '../runtime.ts'

/** A branch, as far as asking goes. */
export interface Asked {
  ask(question: Question): Promise<Outcome>
}

export interface RequestContext {
  readonly clock: Clock
  /**
   * Gateways for the group, best first, those that are passed over last.
   * @throws NightjarError `chain-not-served` and what is wrong with the network
   */
  gateways(group: string, chain: number): Awaitable<readonly Relay[]>
  /** Asked after a failure: whether the gateway is now passed over for a while. */
  isAvoided(gateway: Relay, order: Order): Awaitable<boolean>
  branch(group: string, gateway: Relay): Promise<Asked>
}

const readAttempts = 12
const broadcastAttempts = 3
/** No new attempt starts later than this after the first. */
const attemptFor = 30 * second
/** Between one round of all gateways and the next. */
const rests = [1 * second, 2 * second, 4 * second]

/** Errors that another try cannot mend. */
const final: ReadonlySet<ErrorCode> = new Set([
  'network-unreachable',
  'request-too-large',
  'no-path',
  'chain-not-served',
])

/** One call on its way: which group asks, of which chain. */
export interface Order {
  readonly group: string
  readonly chain: number
  readonly call: Call
}

/**
 * The answer to `order`, which may be a JSON-RPC error.
 * @throws NightjarError where there is none, after all retries
 */
export async function fulfil(context: RequestContext, order: Order): Promise<Outcome> {
  const { method } = order.call
  // Not even shown to the gateway, which would refuse it: the parameters may be a password or a key.
  if (!catalogue.has(method)) throw new NightjarError('method-not-allowed', { facts: { method } })
  return methodOf(method).kind === 'broadcast' ? broadcast(context, order) : read(context, order)
}

async function read(context: RequestContext, order: Order): Promise<Outcome> {
  const start = context.clock.elapsed()
  const round = new Round(context, order)
  let last: Outcome | NightjarError = new NightjarError('network-unreachable')
  for (let attempt = 0; attempt < readAttempts; attempt++) {
    const gateway = (await round.next()) ?? (await round.another())
    if (gateway === undefined || context.clock.elapsed() - start >= attemptFor) break
    const result = await attemptAt(context, gateway, order)
    if (isAnswer(result)) return result
    if (result instanceof NightjarError && final.has(result.code)) throw result
    // A lost trunk is no reason to show the group to another gateway.
    const isAtFault =
      !(result instanceof NightjarError) || result.code === 'timed-out' || (await context.isAvoided(gateway, order))
    if (isAtFault) round.failed(gateway, result)
    else if (isBusy(result) && !(await round.rest())) break
    last = result
  }
  if (last instanceof NightjarError) throw last
  return last
}

async function broadcast(context: RequestContext, order: Order): Promise<Outcome> {
  const hash = hashOf(order)
  const start = context.clock.elapsed()
  const round = new Round(context, order)
  let mayBeOut = false
  for (;;) {
    const next = await round.next().catch((error: unknown) => {
      // No gateway to be had any more, and the transaction may be out by the one before.
      throw mayBeOut ? unknownOutcome(hash, true) : error
    })
    const gateway = next ?? (mayBeOut ? undefined : await round.another())
    const isLate = context.clock.elapsed() - start >= attemptFor
    if (gateway === undefined || isLate) throw unknownOutcome(hash, mayBeOut)
    round.failed(gateway)
    if (mayBeOut && (await isKnown(context, order, hash))) return { result: hash }
    for (let attempt = 0; attempt < broadcastAttempts; attempt++) {
      const result = await attemptAt(context, gateway, order)
      if (isAnswer(result)) return settled(context, order, { result, hash, mayBeOut })
      if (result instanceof NightjarError && final.has(result.code))
        throw mayBeOut ? unknownOutcome(hash, true) : result
      mayBeOut ||= wasAsked(result)
      // Nothing was sent and the gateway cannot be reached: another one may be.
      if (!wasAsked(result) && (await context.isAvoided(gateway, order))) break
    }
  }
}

/** An error after an attempt of unknown fate may mean that this attempt found the first one's success in its way. */
async function settled(
  context: RequestContext,
  order: Order,
  attempt: { result: Outcome; hash: string; mayBeOut: boolean },
): Promise<Outcome> {
  const { result, hash, mayBeOut } = attempt
  if (!mayBeOut || !('error' in result)) return result
  return (await isKnown(context, order, hash)) ? { result: hash } : result
}

/** Whether the chain knows the transaction. @throws NightjarError `outcome-unknown` where that cannot be found out */
async function isKnown(context: RequestContext, order: Order, hash: string): Promise<boolean> {
  const call = { method: 'eth_getTransactionByHash', params: [hash] }
  try {
    const found = await read(context, { ...order, call })
    if ('error' in found) throw new NightjarError('upstream-failed')
    return found.result !== null
  } catch (cause) {
    throw new NightjarError('outcome-unknown', { facts: { hash }, cause })
  }
}

/** An error that says whether the question had left: what fails before that cannot have had an effect. */
class AttemptError extends NightjarError {
  readonly wasAsked: boolean

  constructor(cause: unknown, asked: boolean) {
    const error = asNightjarError(cause)
    super(error.code, {
      cause: error,
      ...(error.detail === undefined ? {} : { detail: error.detail }),
      ...(error.facts === undefined ? {} : { facts: error.facts }),
    })
    this.wasAsked = asked
  }
}

function wasAsked(result: Outcome | NightjarError): boolean {
  return !(result instanceof AttemptError) || result.wasAsked
}

async function attemptAt(context: RequestContext, gateway: Relay, order: Order): Promise<Outcome | NightjarError> {
  let branch: Asked
  try {
    branch = await context.branch(order.group, gateway)
  } catch (error) {
    return new AttemptError(error, false)
  }
  try {
    const { chain, call } = order
    return await branch.ask({ ...call, chain, cells: methodOf(call.method).answerCells })
  } catch (error) {
    return new AttemptError(error, true)
  }
}

/** A result or an error of the node. What the gateway could not get from its provider is no answer yet. */
function isAnswer(result: Outcome | NightjarError): result is Outcome {
  if (result instanceof NightjarError) return false
  return !('error' in result) || nightjarCodeOf(result.error) !== 'upstream-failed'
}

/** The gateways of an order, each once; then again. */
class Round {
  readonly #context: RequestContext
  readonly #order: Order
  readonly #failed = new Set<string>()
  readonly #rests = [...rests]
  /** Whether one of them could not be asked. */
  #isWorthAnother = false

  constructor(context: RequestContext, order: Order) {
    this.#context = context
    this.#order = order
  }

  /** The best one that has not failed in this round, even if it is passed over. @throws NightjarError why there is none at all */
  async next(): Promise<Relay | undefined> {
    const ranked = await this.#context.gateways(this.#order.group, this.#order.chain)
    return ranked.find((relay) => !this.#failed.has(relay.id))
  }

  /** @param answer what it said: that its provider failed is no reason to ask it again, as it has tried that itself */
  failed(gateway: Relay, answer?: Outcome | NightjarError): void {
    this.#failed.add(gateway.id)
    this.#isWorthAnother ||= answer === undefined || answer instanceof NightjarError
  }

  /** After a rest the best one of another round; undefined after the last. @throws NightjarError why there is none at all */
  async another(): Promise<Relay | undefined> {
    if (!this.#isWorthAnother || !(await this.rest())) return undefined
    this.#isWorthAnother = false
    this.#failed.clear()
    return this.next()
  }

  /** Whether there was one left. */
  async rest(): Promise<boolean> {
    const duration = this.#rests.shift()
    if (duration === undefined) return false
    await pause(this.#context.clock, duration)
    return true
  }
}

/** A relay has no room for it now; which is no reason for another gateway, and the next moment is like this one. */
function isBusy(result: Outcome | NightjarError): boolean {
  return result instanceof NightjarError && result.code === 'busy'
}

function hashOf(order: Order): string {
  const raw = Array.isArray(order.call.params) ? (order.call.params[0] as unknown) : undefined
  if (typeof raw !== 'string') throw new NightjarError('bad-request', { detail: 'raw transaction' })
  return transactionHash(raw)
}

function unknownOutcome(hash: string, mayBeOut: boolean): NightjarError {
  return mayBeOut ? new NightjarError('outcome-unknown', { facts: { hash } }) : new NightjarError('network-unreachable')
}
