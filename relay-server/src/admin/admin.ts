/**
 * What operators see of a relay: `/health` and `/status` on one internal port, `/metrics` on another. Health is of this
 * moment. Numbers are of a snapshot that is taken every 15 seconds and rounded, whoever asks and how often, so that
 * neither the time nor the size of a change tells of one client.
 */
import { NightjarError } from '@nightjar/shared/errors'
import { type Clock, second, type Timer, within } from '@nightjar/shared/runtime'
import { type InternalServer, type Page, serveInternal } from './internalServer.ts'
import { coarse, type Reading, textOf, textType } from './reading.ts'
import { healthOf, type StatusOptions, statusOf } from './status.ts'

export interface AdminOptions extends StatusOptions {
  readonly host: string
  readonly healthPort: number
  readonly metricsPort: number
  readonly clock: Clock
  /** Of all processes of the relay (`sumOf`), exact. */
  read(): Promise<Reading>
  /** There is no snapshot this time. */
  onProblem(error: unknown): void
}

export interface Admin {
  readonly healthPort: number
  readonly metricsPort: number
  close(): Promise<void>
}

export const snapshotEvery = 15 * second
/** For a worker that says nothing: after it there is no snapshot. */
const readTimeout = 10 * second

/** Resolves with the first snapshot taken. @throws NightjarError `config-invalid` where a port cannot be listened on */
export async function openAdmin(options: AdminOptions): Promise<Admin> {
  const { host, clock } = options
  const startedAt = clock.elapsed()
  const servers: InternalServer[] = []
  let snapshot: { readonly reading: Reading; readonly text: string } | undefined
  let next: Timer | undefined
  let closed = false

  async function take(): Promise<void> {
    try {
      const reading = coarse(
        await within(clock, readTimeout, options.read(), () => new NightjarError('timed-out', { detail: 'metrics' })),
      )
      snapshot = { reading, text: await textOf(reading) }
    } catch (error) {
      // Old numbers would look like a relay on which nothing moves.
      snapshot = undefined
      options.onProblem(error)
    }
    if (!closed) next = clock.after(snapshotEvery, () => void take())
  }

  function health(): Page {
    const health = healthOf(options)
    return page(health, health.status === 'ok' ? 200 : 503)
  }

  function status(): Page {
    return page(statusOf(options, clock.elapsed() - startedAt, snapshot?.reading), 200)
  }

  function metrics(): Page {
    if (snapshot === undefined) return { status: 503, type: 'text/plain', text: 'There are no numbers now.\n' }
    return { status: 200, type: textType, text: snapshot.text }
  }

  async function open(key: string, port: number, pages: Record<string, () => Page>): Promise<number> {
    const server = await serveInternal({ host, port, key, pages })
    servers.push(server)
    return server.port
  }

  async function close(): Promise<void> {
    closed = true
    next?.cancel()
    await Promise.all(servers.map((server) => server.close()))
  }

  await take()
  try {
    const healthPort = await open('admin.health_port', options.healthPort, { '/health': health, '/status': status })
    const metricsPort = await open('admin.metrics_port', options.metricsPort, { '/metrics': metrics })
    return { healthPort, metricsPort, close }
  } catch (error) {
    await close()
    throw error
  }
}

function page(value: object, status: Page['status']): Page {
  return { status, type: 'application/json', text: `${JSON.stringify(value)}\n` }
}
