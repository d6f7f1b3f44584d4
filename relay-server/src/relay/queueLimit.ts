/**
 * How many cells may wait for one branch in one direction. The one branch of an entry is a trunk, with the windows of all
 * its branches; it must hold what they may honestly have under way, or three slow answers would cost the whole trunk.
 */
import { limits } from '@nightjar/shared/limits'

/** In cells. `depth` is that of the hop whose branch it is, 1 = entry. */
export function queueLimit(depth: number): number {
  const windows = depth === 1 ? limits.branchesPerCircuit : 1
  return windows * limits.branchWindow + limits.controlAllowance
}
