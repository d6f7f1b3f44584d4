/**
 * `npm run lab -- linking`: simulates users with the built `nightjar-lab`, attacks what each party saw, draws what came of
 * it. The last line that it prints is the result.
 */
import { mkdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { distFolder, runProgram } from '@nightjar/e2e/network'
import type { Result } from './attack.ts'
import { type Attacker, attackers, attackersOf } from './attackers.ts'
import { readRecords } from './records.ts'
import { truePositivesAt } from './score.ts'

const minute = 60_000
const hour = 60 * minute

export const windows = { auc10m: 10 * minute, auc1h: hour, auc8h: 8 * hour } as const
type Window = keyof typeof windows

export const strategies = { direct: 'direct', splitOnly: 'split', watches: 'watches' } as const
export type StrategyName = keyof typeof strategies

export interface LinkingFlags {
  readonly users: number
  readonly hours: number
  readonly seed: number
  readonly only?: StrategyName
  /** More flags for nightjar-lab, with spaces between. */
  readonly lab: string
}

/** Of one strategy and attacker, by window. */
export type Results = Record<StrategyName, Record<Attacker, Record<Window, Result>>>

export interface Summary extends Record<Window, number | null> {
  /** Of pairs of one user, those found over the longest window where one in a thousand others is taken for such. */
  readonly tprAt1e3: number | null
}

export async function linking(flags: LinkingFlags, report: (step: string) => void): Promise<Results> {
  const folder = join(tmpdir(), `nightjar-lab-${process.pid}`)
  mkdirSync(folder, { recursive: true })
  try {
    const results: Partial<Results> = {}
    for (const [name, strategy] of Object.entries(strategies) as [StrategyName, string][]) {
      if (flags.only !== undefined && flags.only !== name) continue
      const out = join(folder, strategy)
      const numbers = [`--users=${flags.users}`, `--hours=${flags.hours}`, `--seed=${flags.seed}`]
      report(`${name}: ${flags.users} users for ${flags.hours} hours`)
      await runProgram(join(distFolder(), 'nightjar-lab.js'), [
        'linking',
        ...numbers,
        '--strategy',
        strategy,
        '--out',
        out,
        ...flags.lab.split(' ').filter((flag) => flag !== ''),
      ])
      results[name] = attackAll(out, flags, (step) => report(`${name}: ${step}`))
      rmSync(out, { recursive: true })
    }
    // Without `only` there are all.
    return results as Results
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function attackAll(folder: string, { hours, seed }: LinkingFlags, report: (step: string) => void) {
  const able = attackersOf(readRecords(folder), { length: hours * hour, random: chanceOf(seed) })
  const entries = attackers.map((attacker) => {
    const byWindow = Object.entries(windows).map(([name, window]) => {
      const result = able[attacker](Math.min(window, hours * hour))
      report(`${attacker} ${name}: ${wordsOf(result)}`)
      return [name, result] as const
    })
    return [attacker, Object.fromEntries(byWindow)] as const
  })
  return Object.fromEntries(entries) as Record<Attacker, Record<Window, Result>>
}

function wordsOf({ auc, linked, others, telling }: Result): string {
  const pairs = `${linked} pairs of one user, ${others} of two`
  if (auc === undefined) return `too few to say (${pairs})`
  const most = telling.map(([name, area]) => `${name} ${area.toFixed(2)}`)
  return `${auc.toFixed(3)} (${pairs}); by themselves: ${most.join(', ')}`
}

export function summaryOf(byWindow: Record<Window, Result>): Summary {
  const auc = (window: Window) => (byWindow[window].auc === undefined ? null : rounded(byWindow[window].auc))
  const { roc } = byWindow.auc8h
  return {
    auc10m: auc('auc10m'),
    auc1h: auc('auc1h'),
    auc8h: auc('auc8h'),
    tprAt1e3: roc.length === 0 ? null : rounded(truePositivesAt(1e-3, roc)),
  }
}

function rounded(value: number): number {
  return Math.round(value * 1000) / 1000
}

/** Which pairs are drawn (mulberry32). */
function chanceOf(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}
