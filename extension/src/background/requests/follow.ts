/**
 * Following something at a group's gateway for longer than its branches live: what was followed on one that has done its
 * time is asked for again on its successor, at once, so that the gateway has the new one take over.
 *
 * Left out: what becomes of it when the way is lost. Whoever follows is told, and decides when to ask again.
 */
import type { FollowHandler, FollowOrder } from '@nightjar/shared/accounts'
import type { Relay } from '@nightjar/shared/directory'
import { asNightjarError, type ErrorCode, NightjarError } from '@nightjar/shared/errors'
import type { Following, SealedBranch } from '@nightjar/shared/requests'
import { type Clock, second, type Timer } from '@nightjar/shared/runtime'

/** How often it is looked whether a branch has done its time, each follower at moments of its own: nobody else may ask on it. */
const lookAfter = 30 * second

export interface FollowContext {
  readonly clock: Clock
  random(): number
  /** For the group, best first, those that are passed over last. @throws NightjarError why there is none */
  gateways(group: string, chain: number): Promise<readonly Relay[]> | readonly Relay[]
  isAvoided(gateway: Relay, order: { group: string; chain: number }): Promise<boolean> | boolean
  branch(group: string, gateway: Relay): Promise<SealedBranch>
}

/** @throws NightjarError why no gateway of the group can be reached */
export async function follow(context: FollowContext, order: FollowOrder, handler: FollowHandler): Promise<Following> {
  const { clock, random } = context
  const { group, question } = order
  let following: Following | undefined
  let look: Timer | undefined
  let isOver = false

  async function begin(): Promise<void> {
    const branch = await branchFor(context, order)
    if (isOver) return
    const { id } = branch.gateway
    following = branch.follow(question, { onOutcome: (outcome) => handler.onOutcome(outcome, id), onEnd })
    lookLater(branch)
  }

  function lookLater(branch: SealedBranch): void {
    look?.cancel()
    look = clock.after(lookAfter * (1 + random()), () => {
      // Asked for, one that is due is replaced; where that fails it goes on, and the next look tries again.
      if (branch.isDue) context.branch(group, branch.gateway).catch(() => undefined)
      lookLater(branch)
    })
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
    handler.onEnd(code)
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

async function branchFor(context: FollowContext, { group, question: { chain } }: FollowOrder): Promise<SealedBranch> {
  let last = new NightjarError('no-path')
  for (const gateway of await context.gateways(group, chain)) {
    try {
      return await context.branch(group, gateway)
    } catch (error) {
      last = asNightjarError(error)
      // A lost daemon is no reason to show the group to another gateway.
      if (!(await context.isAvoided(gateway, { group, chain }))) throw last
    }
  }
  throw last
}
