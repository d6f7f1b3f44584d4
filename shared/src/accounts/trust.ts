/**
 * How much of what gateways say could be checked: counted, and kept as evidence where it was false. A gateway is a
 * stranger. What is called verified follows from a block's hash on which gateways of different operators agree; whatever
 * else is used says so.
 */
import type { AccountsContext, Disagreement, LieReport, Linking } from './context.ts'

/** `compared`: two gateways said the same, and nothing more is known. */
export type TrustKind = 'verified' | 'compared' | 'unverified' | 'refuted'

/** Reports that are kept, each with what one gateway said: bounds memory that gateways can fill. */
const reportsKept = 50

export interface TrustStatus {
  readonly counts: Readonly<Record<TrustKind, number>>
  /** Newest last. */
  readonly lies: readonly LieReport[]
  readonly disagreements: readonly Disagreement[]
  readonly linkings: readonly Linking[]
}

export class Trust {
  readonly #context: Pick<AccountsContext, 'clock' | 'reports'>
  readonly #counts: Record<TrustKind, number> = { verified: 0, compared: 0, unverified: 0, refuted: 0 }
  readonly #lies: LieReport[] = []
  readonly #disagreements: Disagreement[] = []
  readonly #linkings: Linking[] = []
  /** What was reported of blocks: each is asked about many times. */
  readonly #disputed = new Set<string>()

  constructor(context: Pick<AccountsContext, 'clock' | 'reports'>) {
    this.#context = context
  }

  get status(): TrustStatus {
    return {
      counts: { ...this.#counts },
      lies: [...this.#lies],
      disagreements: [...this.#disagreements],
      linkings: [...this.#linkings],
    }
  }

  /** An answer of that kind was given. */
  count(kind: TrustKind): void {
    this.#counts[kind] += 1
  }

  lie(lie: Omit<LieReport, 'at'>): void {
    this.#counts.refuted += 1
    const report = { ...lie, at: this.#context.clock.now() }
    keep(this.#lies, report)
    this.#context.reports.onLie(report)
  }

  /** @param number of the block that it is about, where it is about one: it is told once */
  disagree({ number, ...rest }: Omit<Disagreement, 'at'> & { readonly number?: number }): void {
    const key = `${rest.chain} ${rest.what} ${number} ${[...rest.gateways].sort()}`
    if (number !== undefined && this.#disputed.has(key)) return
    if (this.#disputed.size >= reportsKept) this.#disputed.clear()
    this.#disputed.add(key)
    const report = { ...rest, at: this.#context.clock.now() }
    keep(this.#disagreements, report)
    this.#context.reports.onDisagreement(report)
  }

  link(linking: Omit<Linking, 'at'>): void {
    const report = { ...linking, at: this.#context.clock.now() }
    keep(this.#linkings, report)
    this.#context.reports.onLinking(report)
  }
}

function keep<T>(reports: T[], report: T): void {
  reports.push(report)
  if (reports.length > reportsKept) reports.shift()
}
