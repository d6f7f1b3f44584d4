/**
 * Following something at a group's gateway for longer than its branches live. A branch that has done its time is replaced
 * although nobody asks anything on it. What was followed there is asked for again on its successor, at once: the gateway
 * hears of the old branch's end first, and has the new one take over in the middle of whatever it does.
 */
import type { FollowHandler, FollowOrder } from '@nightjar/shared/accounts'
import type { Relay } from '@nightjar/shared/directory'
import { asNightjarError, type ErrorCode, NightjarError } from '@nightjar/shared/errors'
import type { Branches, Following, SealedBranch } from '@nightjar/shared/requests'
import { type Clock, second, type Timer } from '@nightjar/shared/runtime'
import type { OpenBranches } from './openBranches.ts'

/** How often it is looked whether a branch has done its time: each follower at moments of its own. */
const lookAfter = 30 * second

export interface FollowContext {
  readonly clock: Clock
  readonly branches: Branches
  readonly openBranches: OpenBranches
  /** For the group, best first, those that are passed over last. @throws NightjarError why there is none */
  gateways(group: string, chain: number): readonly Relay[]
  isAvoided(gateway: Relay): boolean
  /** A number in [0, 1). */
  random(): number
}

/**
 * The first gateway that can be reached tells `handler`, until either side ends it.
 * @throws NightjarError `limit-reached` where there is a place only for groups that ask, and why no gateway can be reached
 */
export async function follow(context: FollowContext, order: FollowOrder, handler: FollowHandler): Promise<Following> {
  const { clock, branches, random } = context
  const { group, question } = order
  let following: Following | undefined
  let look: Timer | undefined
  let isOver = false

  async function begin(): Promise<void> {
    const branch = await branchFor(context, order)
    if (isOver) return
    const { gateway } = branch
    following = branch.follow(question, {
      onOutcome: (outcome) => handler.onOutcome(outcome, gateway.id),
      onEnd,
    })
    lookLater(branch)
  }

  function lookLater(branch: SealedBranch): void {
    look?.cancel()
    look = clock.after(lookAfter * (1 + random()), () => {
      // Asked for, one that is due is replaced; where that fails it goes on, and the next look tries again.
      if (branch.isDue) branches.get(group, branch.gateway).catch(() => undefined)
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

async function branchFor(context: FollowContext, { group, question }: FollowOrder): Promise<SealedBranch> {
  const { branches, openBranches } = context
  let last = new NightjarError('no-path')
  for (const gateway of context.gateways(group, question.chain)) {
    // What is only followed waits until there is room: it would push others out, and they it.
    if (!branches.has(group, gateway) && !(await openBranches.hasRoom(group))) {
      throw new NightjarError('limit-reached', { detail: 'isolation groups at once' })
    }
    try {
      return await branches.get(group, gateway)
    } catch (error) {
      last = asNightjarError(error)
      // A lost trunk is no reason to show the group to another gateway.
      if (!context.isAvoided(gateway)) throw last
    }
  }
  throw last
}
