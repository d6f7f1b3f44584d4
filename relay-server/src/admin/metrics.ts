/**
 * All metrics of one relay process. Parts keep plain counts and are looked at when a reading is taken, or tell what
 * happens to the functions here; neither knows Prometheus. docs/operator-guide.md explains each metric.
 *
 * With several workers each has its own, and the parent shows the sum of their readings and its own (`sumOf`).
 */
import type { ExitCounts } from '../exit/exit.ts'
import type { FollowedCounts } from '../gateway/gateway.ts'
import type { UpstreamMetrics } from '../gateway/upstream.ts'
import type { OnForwarded } from '../relay/meter.ts'
import { clientStep, MetricSet } from './metricSet.ts'
import { measureProcess } from './processMetrics.ts'
import type { Reading } from './reading.ts'
import { measureRelay, type RelaySource, timeForwarding } from './relayMetrics.ts'
import { type ChainSource, measureChains, measureExit, measureFollowed, timeUpstreams } from './serviceMetrics.ts'

export interface Metrics {
  /** For `createRelay`: times one cell in 61. */
  readonly onForwarded: OnForwarded
  /** For the services: what becomes of questions to the upstreams of `chain`. */
  readonly upstreamMetrics: (chain: number) => UpstreamMetrics
  /** A limit turned somebody away. */
  readonly onRefused: (reason: string) => void
  watchRelay(source: RelaySource): void
  watchExit(counts: Readonly<ExitCounts>): void
  /** Of a gateway. */
  watchChains(read: () => Iterable<ChainSource>): void
  watchFollowed(read: () => FollowedCounts): void
  /** Exact values, to be sent to the parent process or given to `openAdmin`; plain data. */
  serialise(): Promise<Reading>
  close(): void
}

export interface MetricsOptions {
  readonly region: string
  readonly version: string
}

/** Of a process that carries cells. */
export function createMetrics({ region, version }: MetricsOptions): Metrics {
  const set = new MetricSet(region)
  const stop = measureProcess(set, version)
  const refused = countRefusals(set)
  return {
    onForwarded: timeForwarding(set),
    upstreamMetrics: timeUpstreams(set),
    onRefused: (reason) => refused.inc({ reason }),
    watchRelay: (source) => measureRelay(set, source),
    watchExit: (counts) => measureExit(set, counts),
    watchChains: (read) => measureChains(set, read),
    watchFollowed: (read) => measureFollowed(set, read),
    serialise: () => set.read(),
    close: stop,
  }
}

/** Of the parent of several workers, which carries none itself. */
export type ParentMetrics = Pick<Metrics, 'onRefused' | 'serialise'> & { onWorkerReplaced(): void }

export function createParentMetrics({ region }: Pick<MetricsOptions, 'region'>): ParentMetrics {
  const set = new MetricSet(region)
  const refused = countRefusals(set)
  const replaced = set.counter({
    name: 'nightjar_workers_replaced_total',
    help: 'Workers that ended by themselves and were replaced.',
  })
  return {
    onRefused: (reason) => refused.inc({ reason }),
    onWorkerReplaced: () => replaced.inc(),
    serialise: () => set.read(),
  }
}

function countRefusals(set: MetricSet) {
  return set.counter({
    name: 'nightjar_refused_total',
    help: 'What limits turned away, by the reason.',
    labels: ['reason'],
    step: clientStep,
  })
}
