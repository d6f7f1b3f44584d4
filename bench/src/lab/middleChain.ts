/**
 * A middle with the public chain: which of its flows carried the transaction that everybody saw a moment later? Two
 * accounts whose transactions fit flows of one trunk belong together.
 *
 * The pairs are of accounts that sent something in the window, one of them at least of a user of this middle.
 */
import { judge, type NamedExample, type Result } from './attack.ts'
import { firstAt } from './crowd.ts'
import type { Features } from './features.ts'
import type { MiddleRecord, Recorded } from './records.ts'
import { flowOf } from './traces.ts'

const second = 1000
/** From the middle to where a transaction is seen by all. */
const earliest = 0.15 * second
const latest = 3 * second
/** Over which it is told how busy a flow is anyway. */
const around = 600 * second
const mostOthers = 20_000

export interface ChainOptions {
  readonly window: number
  readonly length: number
  readonly random: () => number
  userOf(account: string): number
}

interface Flow {
  readonly trunk: number
  readonly exchanges: readonly number[]
  readonly follows: readonly number[]
}

export function attackWithChain(recorded: Recorded, options: ChainOptions): Result {
  const { window, length, random, userOf } = options
  const usersOfTrunk = new Map<number, number>()
  for (const { user, trunk } of recorded.truth) if (trunk !== undefined) usersOfTrunk.set(trunk, user)
  const halves: [NamedExample[], NamedExample[]] = [[], []]
  for (const records of Map.groupBy(recorded.middle, ({ middle }) => middle).values()) {
    const flows = flowsOf(records)
    const users = new Set(flows.map(({ trunk }) => usersOfTrunk.get(trunk)))
    for (let from = 0; from + window <= length; from += window) {
      const sent = recorded.chain.filter(({ time }) => time >= from && time < from + window)
      const senders = [...Map.groupBy(sent, ({ sender }) => sender)].map(([sender, own]) => ({
        sender,
        user: userOf(sender),
        fits: fitsOf(
          own.map(({ time }) => time),
          flows,
        ),
      }))
      for (const [index, a] of senders.entries()) {
        for (const b of senders.slice(index + 1)) {
          if (a.user % 2 !== b.user % 2 || !(users.has(a.user) || users.has(b.user))) continue
          const isLinked = a.user === b.user
          halves[a.user % 2 === 0 ? 0 : 1].push({ features: together(a.fits, b.fits), isLinked })
        }
      }
    }
  }
  return judge(halves.map((half) => thin(half, random)))
}

function flowsOf(records: readonly MiddleRecord[]): readonly Flow[] {
  return [...Map.groupBy(records, flowOf).values()].map((own) => {
    const timesOf = (event: MiddleRecord['event']) =>
      own
        .filter((record) => record.event === event)
        .map(({ time }) => time)
        .sort((a, b) => a - b)
    return { trunk: own[0]?.trunk ?? 0, exchanges: timesOf('exchange'), follows: timesOf('follow') }
  })
}

/** By trunk, how well the transactions fit the flow of it that they fit best. */
function fitsOf(times: readonly number[], flows: readonly Flow[]): ReadonlyMap<number, number> {
  const fits = new Map<number, number>()
  for (const flow of flows) {
    const fit = times.reduce((sum, time) => sum + fitOf(time, flow), 0)
    fits.set(flow.trunk, Math.max(fit, fits.get(flow.trunk) ?? Number.NEGATIVE_INFINITY))
  }
  return fits
}

/** Log-likelihood ratio of the flow carrying what was seen at `time`, roughly. */
function fitOf(time: number, { exchanges, follows }: Flow): number {
  const near = countIn(exchanges, time - around, time + around)
  const hits = countIn(exchanges, time - latest, time - earliest)
  if (hits === 0) return -4
  const byChance = (near * (latest - earliest)) / (2 * around)
  // The wallet asks for the receipt, or watches it, at once; and it asked for gas some seconds before.
  const isWatched = countIn(follows, time - latest, time + second) > 0 ? 2 : 0
  const polls = Math.min(countIn(exchanges, time + 2 * second, time + 14 * second), 4)
  const before = countIn(exchanges, time - 30 * second, time - 4 * second) > 0 ? 1 : 0
  return -Math.log(Math.min(1, byChance + 0.002)) + isWatched + polls / 2 + before
}

function together(a: ReadonlyMap<number, number>, b: ReadonlyMap<number, number>): Features {
  let best = -20
  let sum = -20
  for (const [trunk, fit] of a) {
    const other = b.get(trunk) ?? -20
    if (Math.min(fit, other) > best) {
      best = Math.min(fit, other)
      sum = fit + other
    }
  }
  const [bestOfA, bestOfB] = [Math.max(-20, ...a.values()), Math.max(-20, ...b.values())]
  return {
    'both fit one trunk': best,
    'how well': sum,
    'each fits another better': bestOfA + bestOfB - sum,
    'both fit any': Math.min(bestOfA, bestOfB),
  }
}

function thin(examples: readonly NamedExample[], random: () => number): readonly NamedExample[] {
  const others = examples.filter(({ isLinked }) => !isLinked).length
  const share = Math.min(1, mostOthers / Math.max(others, 1))
  return examples.filter(({ isLinked }) => isLinked || random() < share)
}

function countIn(times: readonly number[], from: number, to: number): number {
  return firstAt(times, to) - firstAt(times, from)
}
