/** The relay proper: links, circuits, branches, cells, and how long a cell stays. */
import { cellSize } from '@nightjar/shared/cell'
import type { ErrorCode } from '@nightjar/shared/errors'
import { second } from '@nightjar/shared/runtime'
import type { HeldBack, LinkTraffic } from '@nightjar/shared-node/link'
import type { Direction, OnForwarded, RelayMeter } from '../relay/meter.ts'
import { clientStep, type MetricSet } from './metricSet.ts'
import { roundUp } from './reading.ts'

export interface RelaySource {
  readonly counts: Readonly<RelayMeter>
  /** Links that came in and are open. */
  connections(): number
  /** That all workers together take. */
  maxConnections(): number
  /** Links to other relays that are open. */
  onwardLinks(): number
  readonly heldBack: Readonly<HeldBack>
  /** Of all links. */
  readonly traffic: Readonly<LinkTraffic>
  /** How long there are keys for, in milliseconds. */
  keysValidFor(): number
}

/** One request is a few cells: in steps of this size, a megabyte, its share is lost among others'. */
const cellStep = 1024

export const connectionsMetric = 'nightjar_connections'
export const maxConnectionsMetric = 'nightjar_max_connections'
export const utilizationMetric = 'nightjar_utilization_ratio'
export const circuitsMetric = 'nightjar_circuits'
export const branchesMetric = 'nightjar_branches'

/** What to give to the relay, so that it times cells. */
export function timeForwarding(set: MetricSet): OnForwarded {
  const durations = set.durations({
    name: 'nightjar_forwarding_seconds',
    help: 'How long cells stayed, from taking one off its link to giving it to the next; one in 61 is timed.',
    labels: ['direction'],
    bounds: [0.000_01, 0.000_05, 0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5],
    sumStep: 0.001,
  })
  return (direction, milliseconds) => durations.observe({ direction }, milliseconds / second)
}

export function measureRelay(set: MetricSet, source: RelaySource): void {
  const { counts, connections, maxConnections, onwardLinks, heldBack, traffic, keysValidFor } = source
  const step = clientStep

  set.gauge({ name: connectionsMetric, help: 'Links that came in and are open.', step, read: connections })
  set.gauge({
    name: maxConnectionsMetric,
    help: 'How many of them this relay takes.',
    across: 'max',
    read: maxConnections,
  })
  set.gauge({
    name: utilizationMetric,
    help: 'The share of them that is taken, of connections as they are shown.',
    // Rounded before it is divided: else it would tell their number after all.
    read: () => Math.min(roundUp(connections(), step) / maxConnections(), 1),
  })
  set.gauge({ name: 'nightjar_onward_links', help: 'Links to other relays that are open.', step, read: onwardLinks })
  set.gauge({ name: circuitsMetric, help: 'Circuits that are open.', step, read: () => counts.circuits })
  set.gauge({ name: branchesMetric, help: 'Branches of them that are open.', step, read: () => counts.branches })
  set.gauge({
    name: 'nightjar_kept_branches',
    help: 'Those of them whose circuit has ended, and that stand until the time that their client asked for.',
    step,
    read: () => counts.keptBranches,
  })
  set.gauge({
    name: 'nightjar_queued_cells',
    help: 'Cells that wait for a link or for their delay.',
    labels: ['direction'],
    step,
    read: () => byDirection(counts.queued),
  })

  set.counter({
    name: 'nightjar_cells_total',
    help: 'Cells of circuits, away from clients (forward) and towards them (backward).',
    labels: ['direction'],
    step: cellStep,
    read: () => byDirection(counts.cells),
  })
  set.counter({
    name: 'nightjar_bytes_total',
    help: 'The same in bytes.',
    labels: ['direction'],
    step: cellStep * cellSize,
    read: () => byDirection(counts.cells).map(([labels, cells]) => [labels, cells * cellSize] as const),
  })

  set.counter({
    name: 'nightjar_link_bytes_total',
    help: 'Bytes of all links, to clients and to other relays, with what belongs to no circuit: what limits.bandwidth_mbit is about.',
    labels: ['direction'],
    step: cellStep * cellSize,
    read: () => [
      [{ direction: 'received' }, traffic.received] as const,
      [{ direction: 'sent' }, traffic.sent] as const,
    ],
  })

  set.counter({
    name: 'nightjar_held_back_total',
    help: 'Times that a link was not read for a while, as it (cells) or all together (bandwidth) were ahead of their rate.',
    labels: ['reason'],
    step,
    read: () => (['cells', 'bandwidth'] as const).map((reason) => [{ reason }, heldBack[reason]] as const),
  })

  set.gauge({
    name: 'nightjar_keys_valid_seconds',
    help: 'How long there are valid keys for; 0 where one is missing now.',
    across: 'min',
    read: () => Math.floor(keysValidFor() / second),
  })

  const endings = [
    ['nightjar_links_closed_total', 'Links that came in and are closed, by the code of their end.', counts.linksClosed],
    ['nightjar_circuits_closed_total', 'Circuits that are closed, by the code of their end.', counts.circuitsClosed],
    ['nightjar_branches_closed_total', 'Branches that ended or could not be opened, by code.', counts.branchesClosed],
    ['nightjar_handshakes_total', 'Answers to CREATE, by code; done where there was a reply.', counts.handshakes],
  ] as const
  for (const [name, help, codes] of endings) {
    set.counter({ name, help, labels: ['code'], step, read: () => byCode(codes) })
  }
}

export function byCode(codes: ReadonlyMap<ErrorCode, number>) {
  return [...codes].map(([code, value]) => [{ code }, value] as const)
}

function byDirection(values: Readonly<Record<Direction, number>>) {
  return (['forward', 'backward'] as const).map((direction) => [{ direction }, values[direction]] as const)
}
