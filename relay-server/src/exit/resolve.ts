/**
 * Names to addresses. The exit does this, never the client: so the client's network sees no question for the name. What a
 * name server says is remembered as long as it says, within bounds; whether an address may be used is asked again at each
 * connection (connect.ts), so remembering cannot be turned against that.
 */
import { Resolver } from 'node:dns/promises'
import { limits } from '@nightjar/shared/limits'
import { type Clock, second } from '@nightjar/shared/runtime'
import { LRUCache } from 'lru-cache'

export interface Resolved {
  /** Of both families. */
  readonly addresses: readonly string[]
  /** Milliseconds for which that holds. */
  readonly lifetime: number
}

/** Rejects where the name has no address, or none can be found out. */
export type Resolve = (host: string) => Promise<Resolved>

/** However short the name server wants it: bounds how often one name makes the exit ask. */
const shortestLifetime = 1 * second

/** For how long a name that has no address, or none that could be found out, is not asked for again. */
const failureLifetime = 2 * second

/** Asks the name servers of the system, or those at `servers` (`address:port`). */
export function resolveBySystem(servers?: readonly string[]): Resolve {
  const resolver = new Resolver({ timeout: 2 * second, tries: 2 })
  if (servers !== undefined) resolver.setServers(servers)
  return async (host) => {
    const options = { ttl: true } as const
    const [v4, v6] = await Promise.allSettled([resolver.resolve4(host, options), resolver.resolve6(host, options)])
    const records = [v6, v4].flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []))
    if (records.length === 0) throw v4.status === 'rejected' ? v4.reason : new Error('neither A nor AAAA records')
    return {
      addresses: records.map(({ address }) => address),
      lifetime: Math.min(...records.map(({ ttl }) => ttl)) * second,
    }
  }
}

/**
 * `resolve` with a memory: the addresses of a name, none where it has none or cannot be found out. Who asks for a name
 * that is being asked for waits for that answer.
 */
export function rememberNames(resolve: Resolve, clock: Clock): (host: string) => Promise<readonly string[]> {
  const known = new LRUCache<string, readonly string[]>({
    max: limits.cachedNames,
    perf: { now: () => clock.now() },
    ttlResolution: 0,
  })
  const asked = new Map<string, Promise<readonly string[]>>()

  async function ask(host: string): Promise<readonly string[]> {
    // Why it failed helps neither client nor operator: it would have to name the host.
    const failed = (): Resolved => ({ addresses: [], lifetime: failureLifetime })
    const { addresses, lifetime } = await resolve(host).catch(failed)
    known.set(host, addresses, { ttl: Math.min(Math.max(lifetime, shortestLifetime), limits.nameLifetime) })
    asked.delete(host)
    return addresses
  }

  return async (host) => {
    const addresses = known.get(host)
    if (addresses !== undefined) return addresses
    const pending = asked.get(host) ?? ask(host)
    asked.set(host, pending)
    return pending
  }
}
