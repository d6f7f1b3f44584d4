/** Branches that this process itself seals on; an extension does so across the bridge (control/session.ts). */
import { hidesMiddle } from '@nightjar/shared/accounts'
import type { Relay } from '@nightjar/shared/directory'
import { type OpenBranch, openSealedBranch, type SealedBranchOptions } from '@nightjar/shared/requests'
import type { RelayHealth } from './health.ts'
import type { OpenBranches } from './openBranches.ts'

export function sealingOn(
  openBranches: OpenBranches,
  options: SealedBranchOptions & { readonly health: RelayHealth },
  /** What it sends is no answer: the group is not to ask it again. */
  onUnreadable?: (group: string, gateway: Relay) => void,
): OpenBranch {
  return async (group, gateway) => {
    let isGreeted = false
    try {
      const sealing = { ...options, onUnreadable: () => onUnreadable?.(group, gateway) }
      return await openSealedBranch(sealing, gateway, async (hello) => {
        isGreeted = true
        const destination = { group, relay: gateway, hidesMiddle: hidesMiddle(group) }
        const { branch, reply } = await openBranches.greet(destination, hello)
        return { carrier: branch, reply }
      })
    } catch (error) {
      // Not a key of it is valid, so it cannot even be greeted; whatever fails later is counted with the branch.
      if (!isGreeted) options.health.failed(gateway)
      throw error
    }
  }
}
