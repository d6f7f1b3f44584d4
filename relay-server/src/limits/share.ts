/**
 * Who may have one more of what there is only so much of. A fixed share would be too little for one who is alone, or
 * would let a few take all; a share of what is *free* adapts: each gets less the more have some. It takes very
 * many to leave nothing.
 */
import { limits } from './limits.ts'

/** Whether whoever holds `held` places may have one more, where `free` are left. */
export function isFair(held: number, free: number): boolean {
  return held < free * limits.shareOfFree
}
