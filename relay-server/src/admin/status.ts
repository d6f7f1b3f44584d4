/** What `/health` and `/status` say, as JSON. */
import { second } from '@nightjar/shared/runtime'
import { gaugeOf, type Reading } from './reading.ts'
import {
  branchesMetric,
  circuitsMetric,
  connectionsMetric,
  maxConnectionsMetric,
  utilizationMetric,
} from './relayMetrics.ts'

/** One thing that must hold for the relay to be of use. */
export interface Check {
  /** A few words that stay the same, such as `network document`. */
  readonly name: string
  readonly ok: boolean
  /** What holds, or what does not and what to do: no address, URL or text of an error. */
  readonly sentence: string
}

export interface Health {
  readonly status: 'ok' | 'draining' | 'failing'
  /** Why it is not `ok`. */
  readonly reason?: string
  readonly checks: readonly Check[]
}

export interface StatusOptions {
  readonly serverName: string
  /** Its public key, in hexadecimal. */
  readonly identity: string
  readonly region: string
  readonly version: string
  isDraining(): boolean
  checks(): readonly Check[]
}

export function healthOf(options: Pick<StatusOptions, 'isDraining' | 'checks'>): Health {
  const checks = options.checks()
  const failed = checks.find(({ ok }) => !ok)
  if (options.isDraining()) return { status: 'draining', reason: 'The relay is being stopped.', checks }
  return failed === undefined ? { status: 'ok', checks } : { status: 'failing', reason: failed.sentence, checks }
}

/**
 * @param milliseconds that the relay is up
 * @param reading a coarse one; without one, nothing is said of how much the relay carries
 */
export function statusOf(options: StatusOptions, milliseconds: number, reading: Reading | undefined): object {
  return {
    status: healthOf(options).status,
    uptime: Math.floor(milliseconds / second),
    ...(reading === undefined ? {} : loadOf(reading)),
    region: options.region,
    server_name: options.serverName,
    identity: options.identity,
    version: options.version,
  }
}

function loadOf(reading: Reading): Record<string, number> {
  const gauge = (name: string) => gaugeOf(reading, name) ?? 0
  return {
    connections: gauge(connectionsMetric),
    max_connections: gauge(maxConnectionsMetric),
    utilization_pct: Math.round(100 * gauge(utilizationMetric)),
    circuits: gauge(circuitsMetric),
    branches: gauge(branchesMetric),
  }
}
