/**
 * The shield: the loopback port that a browser's proxy setting leads to. Listed hosts, by name and on their port, go
 * through an exit, each registrable domain on branches of its own; everything else is refused. Beside it the sink, to which
 * the proxy setting sends hosts that the user blocks: it refuses all.
 *
 * Nothing is dialled from here. A client is told that it is connected when the exit is.
 */
import type { ShieldStatus } from '@nightjar/shared/bridge'
import { asNightjarError } from '@nightjar/shared/errors'
import { type Clock, hour } from '@nightjar/shared/runtime'
import { findHost, listedPort, normaliseHost } from '@nightjar/shared/shield'
import { splice } from '@nightjar/shared-node/splice'
import { getDomain } from 'tldts'
import type { Client } from '../client/client.ts'
import { type Call, listenProxyPort } from './proxyPort.ts'
import { Usage } from './usage.ts'

/** Longer than an exit keeps a connection that is quiet: it is the exit's to decide. */
const idleAfter = 1 * hour

export interface ShieldOptions {
  readonly clock: Clock
  /** 0 takes any free port. */
  readonly port: number
  readonly client: Pick<Client, 'connectThrough'>
  /** What `status` says is another thing now. */
  onChange(): void
}

export interface Shield {
  readonly port: number
  readonly sinkPort: number
  readonly status: ShieldStatus
  close(): Promise<void>
}

/** @throws NightjarError `connect-failed` where a port cannot be listened on */
export async function openShield(options: ShieldOptions): Promise<Shield> {
  const { clock, client, onChange } = options
  const usage = new Usage(clock)
  let streams = 0
  let isRunning = true

  function refuseUnlisted(call?: Call): void {
    usage.refused()
    call?.refuse('host-not-listed')
    onChange()
  }

  async function connect(call: Call): Promise<void> {
    const host = normaliseHost(call.ask.host)
    const entry = host === undefined ? undefined : findHost(host)
    if (host === undefined || entry === undefined || call.ask.port !== listedPort) return refuseUnlisted(call)
    try {
      const group = groupOf(host, call.ask.credentials)
      await client.connectThrough({ group, host, port: listedPort, signal: call.gone }, (stream) => {
        streams += 1
        const onEnd = () => {
          streams -= 1
          onChange()
        }
        const joined = splice({ stream: () => stream, clock, idleAfter, onEnd })
        joined.start(call.accept())
        return joined.handler
      })
      usage.shielded(entry)
    } catch (error) {
      // Who left is told nothing, and is not an error of the host.
      if (call.gone.aborted) return
      const { code } = asNightjarError(error)
      usage.failed(entry, code)
      call.refuse(code)
    }
    onChange()
  }

  function block(call: Call): void {
    const entry = findHost(call.ask.host)
    if (entry === undefined) return refuseUnlisted(call)
    usage.blocked(entry)
    call.refuse('host-blocked')
    onChange()
  }

  const common = { clock, onUnserved: () => refuseUnlisted() }
  const door = await listenProxyPort({ ...common, port: options.port, onCall: (call) => void connect(call) })
  const sink = await listenProxyPort({ ...common, port: 0, onCall: block }).catch(async (error: unknown) => {
    await door.close()
    throw error
  })
  return {
    port: door.port,
    sinkPort: sink.port,
    get status() {
      return { port: door.port, sinkPort: sink.port, running: isRunning, streams, ...usage.status }
    },
    async close() {
      isRunning = false
      await Promise.all([door.close(), sink.close()])
    },
  }
}

/** The isolation group: what one site's servers see, and they could put together anyway. */
export function groupOf(host: string, credentials: string): string {
  const domain = getDomain(host, { allowPrivateDomains: true }) ?? host
  return credentials === '' ? `shield ${domain}` : `shield ${domain} ${credentials}`
}
