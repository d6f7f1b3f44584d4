/**
 * A message call that names nobody, asked of two gateways. That both say the same is no proof; where they do not, and the
 * block was the same for both, one of them is wrong, and nothing is shown.
 */
import { NightjarError } from '../errors/index.ts'
import type { Order } from '../requests/index.ts'
import type { Call, Outcome } from '../rpc/index.ts'
import { second, within } from '../runtime.ts'
import { atBlock } from '../wallet/index.ts'
import { type AccountsContext, againGroup } from './context.ts'
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
  const both = await askBoth(context, order)
  if (both.trust !== 'refuted') return both
  if (!isFixed(order.call)) {
    // Each may have answered for another block.
    const call = isOfLatest(order.call) ? await fixed(order.call, newest) : undefined
    const again = call && (await askBoth(context, { ...order, call }))
    if (again === undefined) return { ...both, trust: 'unverified' }
    if (again.trust !== 'refuted') return again
  }
  trust.disagree({ chain: order.chain, what: 'call', gateways: [] })
  trust.count('refuted')
  throw new NightjarError('answer-refuted')
}

async function askBoth(context: AccountsContext, order: Order): Promise<Compared> {
  const again = secondOf(context, { ...order, group: againGroup(order.group) })
  const outcome = await context.request(order)
  const other = await again
  // An error may be the node's own: that it lacks the block, or has another limit.
  if (other === undefined || 'error' in outcome || 'error' in other) return { outcome, trust: 'unverified' }
  const isSame = JSON.stringify(outcome.result) === JSON.stringify(other.result)
  return { outcome, trust: isSame ? 'compared' : 'refuted' }
}

async function secondOf(context: AccountsContext, order: Order): Promise<Outcome | undefined> {
  try {
    return await within(context.clock, patience, context.request(order), () => new NightjarError('timed-out'))
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
