/**
 * What a process has counted, as plain data that can go from a worker to its parent: exact while it stays between the
 * processes of one relay, coarse before anybody outside is shown it. Sums and text are prom-client's.
 */
import { AggregatorRegistry } from 'prom-client'

export interface Sample {
  readonly value: number
  readonly labels: Readonly<Record<string, string | number | undefined>>
  /** Where it is not the metric's own: `…_bucket`, `…_sum` and `…_count` of a histogram. */
  readonly metricName?: string
}

export interface Family {
  readonly name: string
  /** `counter`, `gauge` or `histogram`, which prom-client's types have as an enumeration that is not there. */
  readonly type: unknown
  readonly values: readonly Sample[]
}

export interface Reading {
  /** As prom-client gives them; what else they hold is its own affair. */
  readonly families: readonly Family[]
  /** What values are rounded up to multiples of before they are shown, by the name of the sample; without one, exact. */
  readonly steps: Readonly<Record<string, number>>
}

/** Of the workers of one relay: each metric is summed, or what else it says of itself. */
export async function sumOf(readings: readonly Reading[]): Promise<Reading> {
  const sum = AggregatorRegistry.aggregate(readings.map(({ families }) => families))
  return { families: await sum.getMetricsAsJSON(), steps: Object.assign({}, ...readings.map(({ steps }) => steps)) }
}

/** Of a process that is gone: what it has counted, without what it had. */
export function countsOf({ families, steps }: Reading): Reading {
  return { families: families.filter(({ type }) => type !== 'gauge'), steps }
}

/** What may be shown: rounded up, as counts of Tor's statistics are, so that one client more or less rarely changes it. */
export function coarse({ families, steps }: Reading): Reading {
  return {
    steps,
    families: families.map((family) => ({
      ...family,
      values: family.values.map((sample) => ({
        ...sample,
        value: roundUp(sample.value, steps[sample.metricName ?? family.name]),
      })),
    })),
  }
}

/** The text that Prometheus reads. */
export function textOf({ families }: Reading): Promise<string> {
  return AggregatorRegistry.aggregate([families]).metrics()
}

export const textType = AggregatorRegistry.PROMETHEUS_CONTENT_TYPE

/** The value of a metric without labels of its own; undefined where there is none of that name. */
export function gaugeOf({ families }: Reading, name: string): number | undefined {
  return families.find((family) => family.name === name)?.values[0]?.value
}

export function roundUp(value: number, step: number | undefined): number {
  if (step === undefined) return value
  // To 15 digits all is exact: three times 0.1 shall be 0.3, and 0.3 three times 0.1.
  const exact = (inexact: number) => Number(inexact.toPrecision(15))
  return exact(Math.ceil(exact(value / step)) * step)
}
