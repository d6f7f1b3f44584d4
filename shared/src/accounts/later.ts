/**
 * What is put off. Whoever sees all gateways pairs accounts that are asked for together, again and again. So what no watch
 * can say (tokens, logs, storage) is asked once for each account, at a random time of its own; the outcome is kept, and given
 * to whoever asks the same meanwhile. Until it is there they are told when to ask again.
 *
 * Left out: which calls may be put off, and of which block their parts are. Where several parts make one answer, the caller
 * has fixed their block: then the answer is a node's for that block, and its age counts from when it was put off.
 */
import { asNightjarError, NightjarError } from '../errors/index.ts'
import { type Outcome, toRpcError } from '../rpc/index.ts'
import { hour, second, type Timer } from '../runtime.ts'
import type { AccountsContext } from './context.ts'

/** How long a call waits for what is about to come. */
export const patience = 20 * second
/** When to ask a second time for what was asked for once. */
const again = 1 * second
/** What nobody asked for that long is forgotten, unless it is still to come. */
const unwanted = 1 * hour
/**
 * Questions that are kept, and characters of their calls and outcomes: a page can ask as many as it likes. Beyond, whoever has
 * most loses what he asked for first: nobody takes another's place, or sees by his own that somebody has one.
 */
const mostKept = 256
const mostCharacters = 32 * 1024 * 1024

export interface Question {
  /** One account each. */
  readonly parts: readonly (() => Promise<Outcome>)[]
  join(outcomes: readonly Outcome[]): Outcome
  /** What it is about, where that is one account alone: see `drop`. */
  readonly subject?: string
  /** The outcome is for those who wait when it comes, and for nobody later. */
  readonly isPassing?: boolean
}

interface Asking {
  readonly since: Moment
  /** When the last part is asked, in the clock's elapsed milliseconds. */
  readonly due: number
  readonly outcome: Promise<Outcome>
  /** Some part of it has been asked. */
  isUnderWay: boolean
  /** Somebody waits for it. */
  isAwaited: boolean
  cancel(): void
}

/** By both clocks: one of them stands still while the machine sleeps, and the other may be set. */
interface Moment {
  readonly now: number
  readonly elapsed: number
}

interface Kept {
  readonly site: string
  readonly subject: string | undefined
  outcome: Outcome | undefined
  /** When that was put off. */
  since: Moment
  asking: Asking | undefined
  characters: number
  end: Timer | undefined
}

export class Later {
  readonly #context: Pick<AccountsContext, 'clock' | 'random' | 'settings'>
  /** What was asked for last is last. */
  readonly #kept = new Map<string, Kept>()

  constructor(context: Pick<AccountsContext, 'clock' | 'random' | 'settings'>) {
    this.#context = context
  }

  /**
   * What came of it, as old as twice the time within which it is asked; an error only once, and then it is asked anew.
   * @param site who asks: it must not learn by what is there what others asked for
   * @param what it asks for
   * @param otherwise milliseconds after which the call may be answered in another way
   * @throws NightjarError `still-apart`, with the seconds after which it is worth asking again
   */
  async ask(site: string, what: string, question: Question, otherwise = Number.POSITIVE_INFINITY): Promise<Outcome> {
    const { clock, settings } = this.#context
    const { coldSpread } = settings()
    const key = JSON.stringify([site, what])
    const known = this.#kept.get(key)
    const kept = known ?? {
      site,
      subject: question.subject,
      outcome: undefined,
      since: this.#moment,
      asking: undefined,
      characters: key.length,
      end: undefined,
    }
    this.#touch(key, kept)
    // Wallets name another block with each poll, and no such call twice. Asked all the same, for nobody, the accounts of one
    // call would stand out by their old block.
    if (known === undefined && coldSpread > patience) throw stillApart(Math.min(again, otherwise))

    const age = this.#ageOf(kept.since)
    if (age >= 2 * coldSpread) kept.outcome = undefined
    if (kept.asking === undefined && (kept.outcome === undefined || age >= coldSpread)) this.#begin(key, kept, question)
    const { outcome, asking } = kept
    if (outcome !== undefined) {
      if ('error' in outcome) kept.outcome = undefined
      return outcome
    }
    const wait = asking === undefined ? again : asking.due - clock.elapsed()
    if (asking === undefined || wait > patience) throw stillApart(Math.min(wait, otherwise))
    asking.isAwaited = true
    return asking.outcome
  }

  /**
   * What was asked of it is not true any more; what is still to be asked will be. Of an account alone: were others asked for
   * anew because one did something, that would pair them.
   */
  drop(subject: string): void {
    for (const [key, kept] of [...this.#kept]) {
      if (kept.subject !== subject) continue
      kept.outcome = undefined
      kept.characters = key.length
      if (kept.asking?.isUnderWay === true) this.#forget(key)
    }
  }

  stop(): void {
    for (const key of [...this.#kept.keys()]) this.#forget(key)
  }

  #touch(key: string, kept: Kept): void {
    const { clock, settings } = this.#context
    this.#kept.delete(key)
    this.#kept.set(key, kept)
    kept.end?.cancel()
    kept.end = clock.after(Math.max(unwanted, 2 * settings().coldSpread), () => this.#forget(key))
    this.#bound()
  }

  #begin(key: string, kept: Kept, { parts, join, isPassing = false }: Question): void {
    const { clock, random, settings } = this.#context
    const { coldSpread } = settings()
    const timers: Timer[] = []
    const since = this.#moment
    let due = since.elapsed
    const asked = parts.map((part) => {
      const delay = random() * coldSpread
      due = Math.max(due, since.elapsed + delay)
      return new Promise<Outcome>((resolve) => {
        const begin = () => {
          asking.isUnderWay = true
          resolve(outcomeOf(part))
        }
        timers.push(clock.after(delay, begin))
      })
    })
    const { promise: outcome, resolve } = Promise.withResolvers<Outcome>()
    const cancel = () => {
      for (const timer of timers) timer.cancel()
      resolve({ error: toRpcError(stillApart(again)) })
    }
    const asking: Asking = { since, due, outcome, isUnderWay: false, isAwaited: false, cancel }
    kept.asking = asking
    void Promise.all(asked).then(async (outcomes) => {
      const joined = await outcomeOf(async () => join(outcomes))
      resolve(joined)
      kept.asking = undefined
      if (!isPassing) this.#take(key, kept, asking, joined)
    })
  }

  #take(key: string, kept: Kept, { since, isAwaited }: Asking, outcome: Outcome): void {
    // Told to those who waited, or no better than what is kept.
    if ('error' in outcome && (isAwaited || kept.outcome !== undefined)) return
    kept.outcome = outcome
    kept.since = since
    kept.characters = key.length + JSON.stringify(outcome).length
    this.#bound()
  }

  #bound(): void {
    let characters = 0
    for (const kept of this.#kept.values()) characters += kept.characters
    while (this.#kept.size > mostKept || characters > mostCharacters) {
      const isCrowded = this.#kept.size > mostKept
      const greediest = this.#greediest(({ characters }) => (isCrowded ? 1 : characters))
      const [oldest, kept] = [...this.#kept].find(([, { site }]) => site === greediest) ?? []
      if (oldest === undefined || kept === undefined) return
      characters -= kept.characters
      this.#forget(oldest)
    }
  }

  /** The site that has most. */
  #greediest(weigh: (kept: Kept) => number): string | undefined {
    const weights = new Map<string, number>()
    for (const kept of this.#kept.values()) weights.set(kept.site, (weights.get(kept.site) ?? 0) + weigh(kept))
    return [...weights].sort(([, one], [, other]) => other - one)[0]?.[0]
  }

  get #moment(): Moment {
    const { clock } = this.#context
    return { now: clock.now(), elapsed: clock.elapsed() }
  }

  #ageOf(since: Moment): number {
    const { now, elapsed } = this.#moment
    return Math.max(now - since.now, elapsed - since.elapsed)
  }

  #forget(key: string): void {
    const kept = this.#kept.get(key)
    this.#kept.delete(key)
    kept?.end?.cancel()
    kept?.asking?.cancel()
  }
}

/** What keeps the path from answering is an outcome too: of a part it is the whole's. */
export async function outcomeOf<T = Outcome>(ask: () => Promise<T>): Promise<T | Outcome> {
  try {
    return await ask()
  } catch (error) {
    return { error: toRpcError(asNightjarError(error)) }
  }
}

/** @param wait milliseconds after which it is worth asking again */
export function stillApart(wait: number): NightjarError {
  return new NightjarError('still-apart', { facts: { seconds: Math.ceil(Math.max(wait, 0) / second) } })
}
