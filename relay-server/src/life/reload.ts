/** What a new configuration changes in a running relay, and what of it has to wait for a restart. */
import { isDeepStrictEqual } from 'node:util'
import type { RelayConfig } from '../config.ts'

export interface ReloadPlan {
  /** The new configuration, with the old values wherever a restart is needed. */
  readonly config: RelayConfig
  /** Keys that are different now, such as `listen.tls`. */
  readonly changed: readonly string[]
  /** Keys that would be, but for the restart. */
  readonly needRestart: readonly string[]
}

export function planReload(current: RelayConfig, wanted: RelayConfig): ReloadPlan {
  const config: RelayConfig = {
    ...wanted,
    // Ports, and whom the relay is known as.
    listen: { ...wanted.listen, ...doorOf(current), tls: both(current.listen.tls, wanted.listen.tls) },
    limits: { ...wanted.limits, ...countersOf(current) },
    admin: current.admin,
    identity_file: current.identity_file,
    onion_keys_file: current.onion_keys_file,
    outbound_address: current.outbound_address,
    // What it does.
    roles: current.roles,
    gateway: both(current.gateway, wanted.gateway),
    exit: both(current.exit, wanted.exit),
    workers: current.workers,
  }
  return { config, changed: differences(current, config), needRestart: differences(config, wanted) }
}

function doorOf({ listen: { host, port, path, trusted_proxies } }: RelayConfig) {
  return { host, port, path, trusted_proxies }
}

/** What has begun to count with these. */
function countersOf({ limits }: RelayConfig) {
  const { connections_per_minute, connections_per_ip, max_circuits, handshakes_per_second, bandwidth_mbit, queue_mb } =
    limits
  return { connections_per_minute, connections_per_ip, max_circuits, handshakes_per_second, bandwidth_mbit, queue_mb }
}

/** The wanted value, unless something would come to be or cease to be. */
function both<T>(current: T | undefined, wanted: T | undefined): T | undefined {
  return current === undefined || wanted === undefined ? current : wanted
}

/** The keys in which two configurations differ; those of `listen` and `limits` one by one. */
function differences(a: RelayConfig, b: RelayConfig): string[] {
  return differentKeys(a, b).flatMap((key) =>
    key === 'listen' || key === 'limits' ? differentKeys(a[key], b[key]).map((inner) => `${key}.${inner}`) : [key],
  )
}

function differentKeys(a: object, b: object): string[] {
  const [before, after] = [new Map(Object.entries(a)), new Map(Object.entries(b))]
  const keys = new Set([...before.keys(), ...after.keys()])
  return [...keys].filter((key) => !isDeepStrictEqual(before.get(key), after.get(key)))
}
