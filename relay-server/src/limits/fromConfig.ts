/** The limits that relay.yaml sets, as the parts take them. Those of a whole relay are shared out evenly to its workers. */
import type { Crypto } from '@nightjar/shared/crypto'
import type { Clock } from '@nightjar/shared/runtime'
import { type LinkRates, type LocalIpGate, SendMemory, TokenBucket } from '@nightjar/shared-node/link'
import type { RelayConfig } from '../config.ts'
import { createBounds, type RelayBounds } from './bounds.ts'
import { createIpGate } from './ipGate.ts'
import type { OnRefused } from './refusal.ts'

type Limited = Pick<RelayConfig, 'limits' | 'workers'>

const bytesPerMegabit = 1_000_000 / 8

/** Of one process. */
export function boundsOf(
  { limits, workers }: Limited,
  context: { crypto: Pick<Crypto, 'hash' | 'randomBytes'>; clock: Clock; onRefused: OnRefused },
): RelayBounds {
  return createBounds({
    ...context,
    circuits: Math.ceil(limits.max_circuits / workers),
    handshakesPerSecond: limits.handshakes_per_second / workers,
    queueMb: limits.queue_mb / 2 / workers,
  })
}

/** Of the whole relay: with workers it is their parent's. */
export function ipGateOf({ limits }: Limited, clock: Clock): LocalIpGate {
  return createIpGate({ clock, perMinute: limits.connections_per_minute, atOnce: limits.connections_per_ip })
}

/** What all links of one process share; undefined = as much as there is. */
export function bandwidthOf({ limits, workers }: Limited, clock: Clock): TokenBucket | undefined {
  const perSecond = (limits.bandwidth_mbit * bytesPerMegabit) / workers
  return perSecond === 0 ? undefined : new TokenBucket(clock, { perSecond, atOnce: perSecond })
}

/** What all links of one process share, too: half of what may wait is in their sockets, half in queues of circuits. */
export function memoryOf({ limits, workers }: Limited): SendMemory {
  return new SendMemory((limits.queue_mb * 1024 ** 2) / 2 / workers)
}

/** Of one link. */
export function ratesOf({ limits }: Limited, shared: Omit<LinkRates, 'cells'>): LinkRates {
  const perSecond = limits.cells_per_second
  return { ...shared, cells: perSecond === 0 ? undefined : { perSecond, atOnce: perSecond } }
}
