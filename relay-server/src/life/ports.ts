/** The ports that a relay listens on, each with its place in relay.yaml, and why one cannot be had, with what to do. */
import { createServer, type Server, type Socket } from 'node:net'
import { NightjarError } from '@nightjar/shared/errors'
import type { RelayConfig } from '../config.ts'

export interface PortPlace {
  /** Such as `listen.port`. */
  readonly key: string
  readonly host: string
  readonly port: number
}

/** The port of links first. */
export function portsOf({
  listen,
  admin,
}: Pick<RelayConfig, 'listen' | 'admin'>): readonly [PortPlace, ...PortPlace[]] {
  return [
    { key: 'listen.port', host: listen.host, port: listen.port },
    { key: 'admin.health_port', host: admin.host, port: admin.health_port },
    { key: 'admin.metrics_port', host: admin.host, port: admin.metrics_port },
  ]
}

/** Why each of `places` cannot be listened on, as the system's code; undefined where it can. */
export async function tryPorts(places: readonly PortPlace[]): Promise<readonly (string | undefined)[]> {
  const servers: Server[] = []
  const codes: (string | undefined)[] = []
  // All are held until the last was tried: two settings may name the same port.
  for (const { host, port } of places) {
    const server = createServer((socket: Socket) => socket.destroy())
    servers.push(server)
    codes.push(await bindCode(server, host, port))
  }
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return codes
}

function bindCode(server: Server, host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'unknown error'))
    server.listen({ host, port }, () => resolve(undefined))
  })
}

/** Before the relay writes or takes anything. @throws NightjarError `config-invalid` where a port cannot be listened on */
export async function requirePorts(config: Pick<RelayConfig, 'listen' | 'admin'>): Promise<void> {
  const places = portsOf(config)
  const codes = await tryPorts(places)
  for (const [index, place] of places.entries()) {
    const code = codes[index]
    if (code !== undefined) throw portError(place, code)
  }
}

/** @param code of the system, such as EADDRINUSE */
export function portError(place: Pick<PortPlace, 'key' | 'port'>, code: string, cause?: unknown): NightjarError {
  const { finding, remedy } = portProblem(place.key, code)
  const detail = `${place.key} ${place.port}: ${finding}. ${remedy.replace(/\.$/, '')}`
  return new NightjarError('config-invalid', { detail, ...(cause === undefined ? {} : { cause }) })
}

export function portProblem(key: string, code: string): { readonly finding: string; readonly remedy: string } {
  const host = key.replace(/\.\w+$/, '.host')
  switch (code) {
    case 'EADDRINUSE':
      return {
        finding: 'taken, by another program or another relay, or by another of these settings',
        remedy: `End that program, or set another ${key}.`,
      }
    case 'EACCES':
      return {
        finding: 'this user may not listen on so low a port',
        remedy: `Set AmbientCapabilities=CAP_NET_BIND_SERVICE in the systemd unit, or a ${key} from 1024 on.`,
      }
    case 'EADDRNOTAVAIL':
      return {
        finding: 'this machine does not have the address that is to be listened on',
        remedy: `Set ${host} to an address of this machine${key === 'listen.port' ? ', or to 0.0.0.0' : ''}.`,
      }
    default:
      return { finding: `cannot be listened on: ${code}`, remedy: `Correct ${host} and ${key}.` }
  }
}
