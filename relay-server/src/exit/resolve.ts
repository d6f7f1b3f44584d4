/**
 * Names to addresses. The exit does this, never the client: so the client's network sees no question for the name. What a
 * name server says is remembered as long as it says, within bounds; whether an address may be used is asked again at each
 * connection (exit.ts), so remembering cannot be turned against that.
 */
import { NODATA, NOTFOUND, type RecordWithTtl } from 'node:dns'
import { Resolver } from 'node:dns/promises'
import { limits } from '@nightjar/shared/limits'
import { type Clock, millisecond, second, within } from '@nightjar/shared/runtime'
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

/** For how long a name is not asked for again whose addresses, all or those of one family, could not be found out. */
const failureLifetime = 2 * second

/** RFC 8305, section 8: Resolution Delay. */
const resolutionDelay = 50 * millisecond

/**
 * Asks the name servers of the system, or those at `servers` (`address:port`), for both families. Once the addresses of
 * IPv4 are there, those of IPv6 get the Resolution Delay (RFC 8305, section 3): some name servers never answer for them.
 * It does not go the other way round as there, since from an exit without IPv6 those alone lead nowhere.
 */
export function resolveBySystem(clock: Clock, servers?: readonly string[]): Resolve {
  const resolver = new Resolver({ timeout: 2 * second, tries: 2 })
  if (servers !== undefined) resolver.setServers(servers)
  const soon = (asked: Promise<Answer>) =>
    within(clock, resolutionDelay, asked, () => new Error('no answer yet')).catch(() => unanswered)
  return async (host) => {
    const options = { ttl: true } as const
    const asked6 = answerOf(resolver.resolve6(host, options))
    const v4 = await answerOf(resolver.resolve4(host, options))
    const v6 = await (v4.records.length > 0 ? soon(asked6) : asked6)
    const records = [...v6.records, ...v4.records]
    if (records.length === 0) throw new Error('neither A nor AAAA records')
    const isWhole = v4.isKnown && v6.isKnown
    return {
      addresses: records.map(({ address }) => address),
      lifetime: Math.min(
        ...records.map(({ ttl }) => ttl * second),
        isWhole ? Number.POSITIVE_INFINITY : failureLifetime,
      ),
    }
  }
}

/** What there is in one family. */
interface Answer {
  readonly records: readonly RecordWithTtl[]
  /** Whether that was found out: "there are none" is an answer as well. */
  readonly isKnown: boolean
}

const unanswered: Answer = { records: [], isKnown: false }

function answerOf(asked: Promise<readonly RecordWithTtl[]>): Promise<Answer> {
  return asked.then(
    (records) => ({ records, isKnown: true }),
    ({ code }: NodeJS.ErrnoException) =>
      code === NODATA || code === NOTFOUND ? { records: [], isKnown: true } : unanswered,
  )
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
