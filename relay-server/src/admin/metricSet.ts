/**
 * The metrics of one process, on prom-client, with what it does not know: how coarsely each is shown, and that no label
 * can carry an address. Whoever counts hands in a function that is asked when metrics are read, or keeps the counter.
 */
import { type Aggregator, Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { Reading, Sample } from './reading.ts'

/** The step of whatever counts clients or what they cause, as in Tor's statistics. */
export const clientStep = 8

export type Labelled<L extends string> = Iterable<readonly [Readonly<Record<L, string | number>>, number]>

export interface MetricOptions<L extends string> {
  readonly name: string
  /** What it counts; how it is rounded is added. */
  readonly help: string
  readonly labels?: readonly L[]
  /** Shown rounded up to a multiple of it; left out where it says nothing of clients. */
  readonly step?: number
  /** How the values of several workers become one; sums if left out. */
  readonly across?: Aggregator
  /** Its values now: asked at each reading. Without it, whoever made it counts. */
  read?(): number | Labelled<L>
}

export interface DurationOptions<L extends string> {
  readonly name: string
  readonly help: string
  readonly labels: readonly L[]
  /** In seconds, ascending. */
  readonly bounds: readonly number[]
  /** Of the sum of all durations, in seconds. */
  readonly sumStep: number
}

/** Operators choose these, and their descriptors publish them; `le` is a bound. */
const freeLabels = new Set(['region', 'version', 'le'])
/** A word or a number: nothing that has the dots, colons, slashes or the length of an address, a name or a URL. */
const word = /^[a-z0-9-]{1,24}$/

export class MetricSet {
  readonly #registry = new Registry()
  readonly #steps: Record<string, number> = {}

  constructor(region: string) {
    this.#registry.setDefaultLabels({ region })
  }

  gauge<L extends string = never>(options: MetricOptions<L>): Gauge<L> {
    return new Gauge<L>({
      ...this.#common(options),
      collect() {
        if (options.read === undefined) return
        this.reset()
        for (const [labels, value] of labelled(options.read())) this.set(labels, value)
      },
    })
  }

  counter<L extends string = never>(options: MetricOptions<L>): Counter<L> {
    return new Counter<L>({
      ...this.#common(options),
      collect() {
        if (options.read === undefined) return
        this.reset()
        for (const [labels, value] of labelled(options.read())) this.inc(labels, value)
      },
    })
  }

  /** A histogram of durations in seconds, caused by clients. */
  durations<L extends string>({ name, help, labels, bounds, sumStep }: DurationOptions<L>): Histogram<L> {
    for (const part of ['bucket', 'count']) this.#steps[`${name}_${part}`] = clientStep
    this.#steps[`${name}_sum`] = sumStep
    return new Histogram<L>({
      name,
      help: `${help} Counts are rounded up to multiples of ${clientStep}, the sum to multiples of ${sumStep}.`,
      labelNames: [...labels],
      buckets: [...bounds],
      registers: [this.#registry],
    })
  }

  /** Exact: for a parent process, or for `coarse`. @throws Error where a label could carry an address */
  async read(): Promise<Reading> {
    const families = await this.#registry.getMetricsAsJSON()
    for (const { name, values } of families) for (const sample of values) requireWords(name, sample)
    return { families, steps: this.#steps }
  }

  #common<L extends string>({ name, help, labels = [], step, across = 'sum' }: MetricOptions<L>) {
    if (step !== undefined) this.#steps[name] = step
    return {
      name,
      help: step === undefined ? help : `${help} Rounded up to multiples of ${step}.`,
      labelNames: [...labels],
      aggregator: across,
      registers: [this.#registry],
    }
  }
}

function labelled<L extends string>(values: number | Labelled<L>): Labelled<L> {
  // Without labels of its own: the empty object has all of them.
  return typeof values === 'number' ? [[{} as Record<L, string>, values]] : values
}

function requireWords(name: string, { labels }: Sample): void {
  for (const [label, value] of Object.entries(labels)) {
    if (!freeLabels.has(label) && !word.test(String(value))) throw new Error(`${name}: ${label} is no plain word`)
  }
}
