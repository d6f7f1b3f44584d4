/**
 * Who may have one more of what there is only so much of. A fixed share would be too little for one who is alone, or
 * would let a few take all; a share of what is *free* adapts: each gets less the more have some. It takes very
 * many to leave nothing.
 */
import { limits } from './limits.ts'

/** Whether whoever holds `held` places may have one more, where `free` are left. */
export function isFair(held: number, free: number): boolean {
  return roomOf(held, free) > 0
}

export interface Places {
  readonly free: number
  readonly taken: number
}

/**
 * Whether a circuit that holds `held` of the `ofSource` places of its source may have one more. A relay brings the circuits of
 * all its clients, and who makes many of them would else leave nothing to those who have one each. The less is left to the
 * source, the less of that is one circuit's: a part that fell no quicker than what is left would soon be all gone.
 */
export function isFairWithin(held: number, ofSource: number, { free, taken }: Places): boolean {
  const left = Math.max(roomOf(ofSource, free), 0) / roomOf(0, free + taken)
  return held < limits.placesOfCircuit * left ** 3
}

/** How many more may be taken until `held` and they are the share of what is free then. */
function roomOf(held: number, free: number): number {
  return (free * limits.shareOfFree - held) / (1 + limits.shareOfFree)
}
