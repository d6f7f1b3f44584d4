/**
 * The operator's record of what was let in and what was not: once a minute one line of counts by reason, if there was
 * anything. No address is ever handed to it. Counts are rounded up to tens, so that no line tells of one client.
 */
import { type Clock, minute, type Timer } from '@nightjar/shared/runtime'
import type { Log } from '@nightjar/shared-node/log'
import type { Refusal } from './refusal.ts'

export interface Audit {
  admitted(): void
  refused(refusal: Refusal): void
  /** Writes what is left. */
  stop(): void
}

const step = 10

export function createAudit(log: Pick<Log, 'info'>, clock: Clock): Audit {
  const counts = new Map<'admitted' | Refusal, number>()
  let timer: Timer | undefined

  function count(event: 'admitted' | Refusal): void {
    counts.set(event, (counts.get(event) ?? 0) + 1)
    timer ??= clock.after(minute, write)
  }

  function write(): void {
    timer?.cancel()
    timer = undefined
    if (counts.size === 0) return
    const rounded = [...counts].sort().map(([event, value]) => [event, Math.ceil(value / step) * step])
    log.info('limits in the last minute, in tens', Object.fromEntries(rounded))
    counts.clear()
  }

  return { admitted: () => count('admitted'), refused: count, stop: write }
}
