/**
 * A message call that names nobody, asked of the gateways of two operators. That both say the same is no proof; where they do
 * not, and the block was the same for both, one of them is wrong, and nothing is shown.
 */
import { NightjarError } from '../errors/index.ts'
import type { Order } from '../requests/index.ts'
import type { Call, Outcome } from '../rpc/index.ts'
import { second, within } from '../runtime.ts'
import { atBlock } from '../wallet/index.ts'
import { type AccountsContext, againGroup } from './context.ts'
import { type Answered, askNamed, namesIn } from './reading.ts'
import type { Trust, TrustKind } from './trust.ts'

/** How long the first answer waits for the second. */
const patience = 8 * second

export interface Compared {
  readonly outcome: Outcome
  readonly trust: TrustKind
}

/**
 * @param newest the number of a block for which both can answer, asked for where the latest one is wanted and they differ
 * @throws NightjarError `answer-refuted`, and what keeps the first from answering
 */
export async function compared(
  context: AccountsContext,
  trust: Trust,
  order: Order,
  newest: () => Promise<`0x${string}` | undefined>,
): Promise<Compared> {
  let both = await askBoth(context, order)
  if (both.trust !== 'refuted') return both
  if (!isFixed(order.call)) {
    // Each may have answered for another block.
    const call = isOfLatest(order.call) ? await fixed(order.call, newest) : undefined
    if (call === undefined) return { outcome: both.outcome, trust: 'unverified' }
    both = await askBoth(context, { ...order, call })
    if (both.trust !== 'refuted') return both
  }
  trust.disagree({ chain: order.chain, what: 'call', gateways: both.gateways })
  trust.count('refuted')
  throw new NightjarError('answer-refuted')
}

interface Both extends Compared {
  /** Those that answered, as far as they are known. */
  readonly gateways: readonly string[]
}

async function askBoth(context: AccountsContext, order: Order): Promise<Both> {
  const again = secondOf(context, { ...order, group: againGroup(order.group) })
  const { outcome, gateway } = await askNamed(context, order)
  const other = await again
  const gateways = [gateway, other?.gateway ?? ''].flatMap(namesIn)
  // An error may be the node's own: that it lacks the block, or has another limit.
  if (other === undefined || 'error' in outcome || 'error' in other.outcome)
    return { outcome, trust: 'unverified', gateways }
  if (JSON.stringify(outcome.result) !== JSON.stringify(other.outcome.result))
    return { outcome, trust: 'refuted', gateways }
  const [operator, second] = [gateway, other.gateway].map((each) => context.operatorOf(each))
  // Both may have come to the same one, where the network has few or others failed: he would confirm himself.
  const isApart = operator !== undefined && second !== undefined && operator !== second
  return { outcome, trust: isApart ? 'compared' : 'unverified', gateways }
}

async function secondOf(context: AccountsContext, order: Order): Promise<Answered | undefined> {
  try {
    return await within(context.clock, patience, askNamed(context, order), () => new NightjarError('timed-out'))
  } catch (error) {
    // Without the second the first stands alone, and is marked so.
    if (!(error instanceof NightjarError)) throw error
    return undefined
  }
}

async function fixed(call: Call, newest: () => Promise<`0x${string}` | undefined>): Promise<Call | undefined> {
  const number = await newest()
  return number === undefined ? undefined : atBlock(call, number)
}

/** Whether it asks for one block, by its number or hash, whoever answers. */
function isFixed({ params }: Call): boolean {
  const block: unknown = Array.isArray(params) ? params[1] : undefined
  return typeof block === 'string' ? block.startsWith('0x') : typeof block === 'object' && block !== null
}

function isOfLatest(call: Call): boolean {
  return atBlock(call, '0x0') !== call
}
