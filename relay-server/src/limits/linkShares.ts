/**
 * Who may have one more of the links that come in (`max_connections`). Each source has its share of those that are free, so that
 * a customer with a /48 does not take them all, a few from each /64 in it; and some are for relays of the network alone,
 * as these bring the clients of all other entries.
 */
import type { LinkShares } from '@nightjar/shared-node/link'
import type { CircuitHost } from '../relay/host.ts'
import { limits } from './limits.ts'
import { isFair } from './share.ts'
import { Sources } from './sources.ts'

export function createLinkShares({ findRelay }: Pick<CircuitHost, 'findRelay'>): LinkShares {
  const sources = new Sources()
  return {
    ownerOf(address, identity) {
      const relay = identity && findRelay(identity)?.id
      return { source: sources.of(address, relay), isRelay: relay !== undefined }
    },
    refusalOf({ isRelay }, { held, ofClients, all }, most) {
      const forClients = most - keptOf(most)
      const free = isRelay ? most - all : Math.min(most - all, forClients - ofClients)
      if (free <= 0) return 'connections'
      return isFair(held, free) ? undefined : 'connection-share'
    },
  }
}

/** Of a worker that has few there is one, too, unless its clients would have none but a handful. */
function keptOf(most: number): number {
  return Math.max(Math.floor(most * limits.keptOfConnections), most >= 8 ? 1 : 0)
}
