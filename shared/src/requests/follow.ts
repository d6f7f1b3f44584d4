/**
 * Following something at a group's gateway for longer than its branches live. A branch that has done its time is replaced
 * although nobody asks anything on it. What was followed there is asked for again on its successor, at once: the gateway
 * has the new one take over in the middle of whatever it does; one that is kept goes on beside it, unheard. A branch that is to
 * be left, as a relay on its way drains, is replaced in the same way: nobody behind that relay can tell the two apart.
 *
 * Left out: what becomes of it when the way is lost. Whoever follows is told, and decides when to ask again.
 */
import type { Awaitable } from '../crypto/index.ts'
import type { Relay } from '../directory/index.ts'
import { asNightjarError, type ErrorCode, NightjarError } from '../errors/index.ts'
import type { Outcome, Question } from '../rpc/index.ts'
import { type Clock, second, type Timer } from '../runtime.ts'
import type { Following } from './carrier.ts'
import type { SealedBranch } from './sealedBranch.ts'

/** How often it is looked whether a branch has done its time: each follower at moments of its own. */
const lookAfter = 30 * second

/** What is to be followed, and for which group. */
export interface FollowOrder {
  readonly group: string
  readonly chain: number
  /** What the gateway of that identity is asked. */
  questionFor(gateway: string): Question
}

/** Who is told. */
export interface Follower {
  /** @param gateway identity of the one that answered */
  onOutcome(outcome: Outcome, gateway: string): void
  /** Nothing more comes. */
  onEnd(code: ErrorCode): void
}

export interface FollowContext {
  readonly clock: Clock
  /** A number in [0, 1). */
  random(): number
  /** For the group, best first, those that are passed over last. @throws NightjarError why there is none */
  gateways(group: string, chain: number): Awaitable<readonly Relay[]>
  /** Asked after a failure: whether the gateway is now passed over for a while. */
  isAvoided(gateway: Relay, order: { readonly group: string; readonly chain: number }): Awaitable<boolean>
  /** The open one, or a new one; one that is due is replaced. @throws NightjarError where there can be none */
  branch(group: string, gateway: Relay): Promise<SealedBranch>
}

/**
 * The first gateway that can be reached tells `follower`, until either side ends it.
 * @throws NightjarError why no gateway of the group can be reached
 */
export async function follow(context: FollowContext, order: FollowOrder, follower: Follower): Promise<Following> {
  const { clock, random } = context
  let following: Following | undefined
  let look: Timer | undefined
  let isOver = false

  async function begin(): Promise<void> {
    const branch = await branchFor(context, order)
    if (isOver) return
    const { id } = branch.gateway
    const onOutcome = (outcome: Outcome) => follower.onOutcome(outcome, id)
    following = branch.follow(order.questionFor(id), { onOutcome, onEnd })
    branch.onLeaving(() => void replace(branch))
    lookLater(branch)
  }

  function lookLater(branch: SealedBranch): void {
    look?.cancel()
    look = clock.after(lookAfter * (1 + random()), () => {
      if (branch.isDue) void replace(branch)
      lookLater(branch)
    })
  }

  /** Has its successor opened; the old one then ends. */
  async function replace(branch: SealedBranch): Promise<void> {
    if (isOver || branch.error !== undefined) return
    try {
      // Asked for, one that is due is replaced. Where its gateway drains the next one takes over, and where it only stood
      // in, the group's own one.
      const next = await branchFor(context, order)
      if (next.gateway.id !== branch.gateway.id) branch.retire()
    } catch {
      // It goes on, and the next look tries again.
    }
  }

  function onEnd(code: ErrorCode): void {
    look?.cancel()
    if (isOver) return
    if (code === 'branch-retired') begin().catch((error: unknown) => end(asNightjarError(error).code))
    else end(code)
  }

  function end(code: ErrorCode): void {
    if (isOver) return
    isOver = true
    follower.onEnd(code)
  }

  await begin()
  return {
    stop() {
      isOver = true
      look?.cancel()
      following?.stop()
    },
  }
}

async function branchFor(context: FollowContext, { group, chain }: FollowOrder): Promise<SealedBranch> {
  let last = new NightjarError('no-path')
  for (const gateway of await context.gateways(group, chain)) {
    try {
      return await context.branch(group, gateway)
    } catch (error) {
      last = asNightjarError(error)
      // A lost trunk, or daemon, is no reason to show the group to another gateway.
      if (!(await context.isAvoided(gateway, { group, chain }))) throw last
    }
  }
  throw last
}
