/** What `doctor` looks at of the relay's ports: whether they can be had, or this very relay has them already. */
import { hex } from '@nightjar/shared/bytes'
import { second } from '@nightjar/shared/runtime'
import type { RelayConfig } from '../config.ts'
import type { RelayKeys } from '../keys.ts'
import { type PortPlace, portProblem, portsOf, tryPorts } from '../life/ports.ts'
import type { Finding } from './finding.ts'

const answerTimeout = 10 * second

/** @param isRunning whether this relay does (`isThisRelay`) */
export async function checkPorts(config: RelayConfig, isRunning: boolean): Promise<readonly Finding[]> {
  const places = portsOf(config)
  const codes = await tryPorts(places)
  return places.map((place, index) => portFinding(place, codes[index], isRunning))
}

function portFinding({ key, host, port }: PortPlace, code: string | undefined, isRunning: boolean): Finding {
  const subject = `${key} ${host}:${port}`
  if (code === undefined && isRunning && port !== 0) {
    const finding = 'free, though this relay runs: it has had another port since its start'
    return { subject, status: 'note', finding, remedy: 'Restart it, if it is to have this one.' }
  }
  if (code === undefined) return { subject, status: 'ok', finding: 'free' }
  if (code === 'EADDRINUSE' && isRunning) return { subject, status: 'ok', finding: 'taken, and this relay runs' }
  return { subject, status: 'problem', ...portProblem(key, code), code: 'config-invalid' }
}

/** Whether who answers on the health port is the relay of this configuration, by its identity, and not just any program. */
export async function isThisRelay({ admin, server_name }: RelayConfig, keys: RelayKeys | undefined): Promise<boolean> {
  const { host, health_port: port } = admin
  const at = host.includes(':') ? `[${host}]` : host
  // A port that the system chose is not known here.
  if (port === 0) return false
  try {
    const response = await fetch(`http://${at}:${port}/status`, { signal: AbortSignal.timeout(answerTimeout) })
    const status = (await response.json()) as { identity?: unknown; server_name?: unknown } | null
    // Where its keys cannot be read, which is a finding of its own, the name has to do.
    if (keys === undefined) return status?.server_name === server_name
    return status?.identity === hex(keys.identity.publicKey)
  } catch {
    // Nobody, or somebody else.
    return false
  }
}
