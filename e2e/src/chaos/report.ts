/** What a chaos run says at its end, and which of it must hold; everything with a unit of time is only measured. */
import { otherChainFault } from './faults.ts'
import type { Sum } from './load.ts'
import type { Slope } from './processes.ts'
import { type Rest, spareDescriptors, spareTimers } from './rest.ts'
import type { Acceptance } from './transactions.ts'

export interface FaultReport {
  readonly name: string
  readonly victim: string
  /** Since the start of the load. */
  readonly atS: number
  readonly heldS: number
  /** While it was there; null where nothing was answered. */
  readonly p99Ms: number | null
  readonly failed: Readonly<Record<string, number>>
  readonly wrong: number
  /** From its end until p99 was within twice the start's; null = not within half a minute. */
  readonly backAfterS: number | null
  readonly complaint?: string
}

export interface ChaosReport {
  readonly ok: boolean
  /** What should hold and does not, in words. */
  readonly broken: readonly string[]
  readonly seed: number
  readonly minutes: number
  readonly requests: Sum
  readonly mostInFlight: number
  readonly transactions: Acceptance & { readonly submitted: number }
  readonly start: { readonly p50Ms: number; readonly p99Ms: number }
  readonly faults: readonly FaultReport[]
  readonly notDone: readonly string[]
  readonly memory: readonly Slope[]
  readonly rest: readonly Rest[]
}

/** Far beyond what a relay takes (some 100 MB): what passes it is a leak, not a busy heap. */
const mostMemoryMb = 600
/** The same for what a process gains in the second half of its life, in however long. */
const mostGainedMb = 40
/** Shorter lives say nothing about it: a relay that was started again is still taking clients on. */
const shortestLifeS = 240
const shortestShareOfRun = 1 / 4

/** What should hold and does not, in words. */
export function findBroken(report: Omit<ChaosReport, 'ok' | 'broken'>): string[] {
  const { requests, transactions, rest, memory, minutes } = report
  const lifeForSlopeS = Math.max(shortestLifeS, minutes * 60 * shortestShareOfRun)
  const failures = Object.values(requests.failed).reduce((sum, count) => sum + count, 0)
  const checks: readonly (readonly [boolean, string])[] = [
    [requests.lost === 0, `${requests.lost} requests were neither answered nor failed`],
    [requests.asked === requests.answered + failures + requests.lost, 'requests do not add up'],
    [(requests.failed.internal ?? 0) === 0, `${requests.failed.internal} requests failed with "internal"`],
    [transactions.twice === 0, `${transactions.twice} transactions were accepted twice`],
    [transactions.missing === 0, `${transactions.missing} transactions were confirmed, and are in no block`],
    ...report.faults.map(({ name, victim, complaint }) => [!complaint, `${name} (${victim}): ${complaint}`] as const),
    ...report.faults.map(
      ({ name, wrong }) =>
        [wrong === 0 || name === otherChainFault, `${name}: ${wrong} answers belonged to other questions`] as const,
    ),
    ...rest.map(
      ({ relay, descriptors: [before, after] }) =>
        [
          after <= before + spareDescriptors,
          `${relay} had ${before} descriptors open before and has ${after} after`,
        ] as const,
    ),
    ...rest.map(
      ({ relay, timers: [before, after] }) =>
        [after <= before + spareTimers, `${relay} had ${before} timers before and has ${after} after`] as const,
    ),
    ...memory.map(({ name, highestMb }) => [highestMb < mostMemoryMb, `${name} took ${highestMb} MB`] as const),
    ...memory.map(
      ({ name, seconds, gainedMb }) =>
        [
          seconds < lifeForSlopeS || gainedMb < mostGainedMb,
          `${name} gained ${gainedMb} MB in the second half of ${seconds} s`,
        ] as const,
    ),
  ]
  return checks.filter(([holds]) => !holds).map(([, words]) => words)
}
