export { Branches, type OpenBranch } from './branches.ts'
export type { Carrier, FollowHandler, Following } from './carrier.ts'
export { type FollowContext, type Follower, type FollowOrder, follow } from './follow.ts'
export { fulfil, type Order, type RequestContext } from './fulfil.ts'
export {
  type Greet,
  keptFor,
  type OutcomeHandler,
  openSealedBranch,
  requestsPerBranch,
  SealedBranch,
  type SealedBranchOptions,
} from './sealedBranch.ts'
