/**
 * The services on top of streams: the exit's counts, and what a gateway has to do with its upstreams. An upstream is its
 * place in relay.yaml, from 0: its URL may hold the operator's key.
 */
import { second } from '@nightjar/shared/runtime'
import type { ExitCounts } from '../exit/exit.ts'
import type { FollowedCounts } from '../gateway/gateway.ts'
import type { UpstreamMetrics } from '../gateway/upstream.ts'
import { clientStep, type MetricSet } from './metricSet.ts'
import { byCode } from './relayMetrics.ts'

/** What a gateway says of one chain when it is asked. */
export interface ChainSource {
  readonly chain: number
  /** By upstream: whether it gets questions. */
  readonly areWell: readonly boolean[]
  /** Looks for a new head that gave none. */
  readonly headFailures: number
}

const mebibyte = 1024 * 1024
const step = clientStep

export function measureExit(set: MetricSet, counts: Readonly<ExitCounts>): void {
  set.gauge({
    name: 'nightjar_exit_streams',
    help: 'Streams to hosts, open or being opened.',
    step,
    read: () => counts.open,
  })
  set.counter({
    name: 'nightjar_exit_streams_closed_total',
    help: 'Streams to hosts that ended or were refused, by code.',
    labels: ['code'],
    step,
    read: () => byCode(counts.ended),
  })
  set.counter({
    name: 'nightjar_exit_bytes_total',
    help: 'Bytes of streams that ended, to hosts (forward) and from them (backward).',
    labels: ['direction'],
    step: mebibyte,
    read: () => [
      [{ direction: 'forward' }, counts.toHosts],
      [{ direction: 'backward' }, counts.fromHosts],
    ],
  })
}

/** Gives back what the gateway is to tell, by chain. */
export function timeUpstreams(set: MetricSet): (chain: number) => UpstreamMetrics {
  const labels = ['chain', 'upstream'] as const
  const durations = set.durations({
    name: 'nightjar_upstream_seconds',
    help: 'How long upstreams took to answer.',
    labels,
    bounds: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    sumStep: 0.1,
  })
  const asked = set.counter({
    name: 'nightjar_upstream_requests_total',
    help: 'Questions to upstreams, by how they ended.',
    labels: [...labels, 'outcome'],
    step,
  })
  const ejected = set.counter({
    name: 'nightjar_upstream_ejections_total',
    help: 'Times that the upstream was passed over for a while as it failed.',
    labels,
  })
  const hedged = set.counter({
    name: 'nightjar_upstream_hedges_total',
    help: 'Reads for which a second upstream was asked as the first took long.',
    labels: ['chain'],
    step,
  })
  return (chain) => ({
    onOutcome(upstream, outcome, latency) {
      asked.inc({ chain, upstream, outcome })
      if (outcome === 'answered') durations.observe({ chain, upstream }, latency / second)
    },
    onEjected: (upstream) => ejected.inc({ chain, upstream }),
    onHedged: () => hedged.inc({ chain }),
  })
}

export function measureFollowed(set: MetricSet, read: () => FollowedCounts): void {
  const counts = [
    ['nightjar_followed_heads', 'Streams that are told of new blocks.', 'heads'],
    ['nightjar_watches', 'Watches of accounts and transactions that have a client.', 'watches'],
    ['nightjar_lingering_watches', 'Watches that go on for a while though their branch is lost.', 'lingering'],
  ] as const
  for (const [name, help, of] of counts) set.gauge({ name, help, step, read: () => read()[of] })
}

export function measureChains(set: MetricSet, read: () => Iterable<ChainSource>): void {
  set.gauge({
    name: 'nightjar_upstream_healthy',
    help: 'Whether the upstream gets questions: 1, or 0 where it gets none in any worker.',
    labels: ['chain', 'upstream'],
    across: 'min',
    read: () =>
      [...read()].flatMap(({ chain, areWell }) =>
        areWell.map((isWell, upstream) => [{ chain, upstream }, isWell ? 1 : 0] as const),
      ),
  })
  set.counter({
    name: 'nightjar_head_failures_total',
    help: 'Looks for the newest block of a chain that gave none.',
    labels: ['chain'],
    step,
    read: () => [...read()].map(({ chain, headFailures }) => [{ chain }, headFailures] as const),
  })
}
