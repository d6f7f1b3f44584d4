/**
 * Where connections come in, before anybody reads a byte of them: how many one address may have is asked first, then how
 * many all together may come, so that nobody uses up what is there for all. What passes is handed on, paused, with the
 * address that it was counted for; whoever takes it gives the address back when it is over (door.ts).
 *
 * One for each port: with workers it is their parent's.
 */
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { NightjarError } from '@nightjar/shared/errors'
import { limits } from '@nightjar/shared/limits'
import { type Clock, minute } from '@nightjar/shared/runtime'
import { TokenBucket } from './bucket.ts'
import type { AddressRefusal, IpGate } from './door.ts'
import type { LinkRefusal } from './link.ts'
import { type Proxies, plainAddress } from './proxies.ts'

/** One that says at once what it says. */
export interface LocalIpGate extends IpGate {
  admit(address: string): AddressRefusal | undefined
}

export interface FrontOptions {
  readonly host: string
  readonly port: number
  readonly clock: Clock
  /** Whether who has ended his side may still be told something. */
  readonly allowHalfOpen: boolean
  /** Without it every address has as many as it likes. */
  readonly ipGate?: LocalIpGate | undefined
  /** Connections of these are counted by whoever reads whom they speak for. */
  readonly proxies?: Proxies | undefined
  onRefused?(refusal: LinkRefusal): void
  /** The system gives no connections; once a minute at most, however often. */
  onProblem?(error: NightjarError): void
  /** Undefined where no address was counted. */
  take(socket: Socket, address: string | undefined): void
}

export interface Front {
  readonly port: number
  /** Nothing comes in any more. Resolves once all that came in is over. */
  close(): Promise<void>
}

/** How often a problem that goes on is told. */
const toldEvery = 1 * minute

/** @throws NightjarError `connect-failed` where the address cannot be listened on */
export async function openFront(options: FrontOptions): Promise<Front> {
  const { host, port, clock, allowHalfOpen, ipGate, proxies } = options
  const accepts = new TokenBucket(clock, { perSecond: limits.acceptsPerSecond, atOnce: limits.acceptsAtOnce })
  let toldAt = Number.NEGATIVE_INFINITY

  function receive(socket: Socket): void {
    // What goes wrong is told by its `close`; until it is handed on nobody else listens.
    socket.on('error', () => {})
    const peer = plainAddress(socket.remoteAddress ?? '')
    const address = ipGate === undefined || proxies?.has(peer) === true ? undefined : peer
    const refusal = refusalOf(address)
    if (refusal === undefined) return options.take(socket, address)
    options.onRefused?.(refusal)
    socket.resetAndDestroy()
  }

  /** Whoever is refused costs the others nothing: neither does an address the rate of all, nor the rate an address. */
  function refusalOf(address: string | undefined): LinkRefusal | undefined {
    if (!accepts.has(1)) return 'accept-rate'
    const refusal = address === undefined ? undefined : ipGate?.admit(address)
    if (refusal === undefined) accepts.owe(1)
    return refusal
  }

  /** Such as too many open files: those who are there stay, and later ones may come. */
  function onError(cause: NodeJS.ErrnoException): void {
    options.onRefused?.('accept-failed')
    if (clock.elapsed() - toldAt < toldEvery) return
    toldAt = clock.elapsed()
    const detail = `the system gives no connection: ${cause.code ?? 'unknown'}`
    options.onProblem?.(new NightjarError('limit-reached', { detail, cause }))
  }

  const server = createServer({ pauseOnConnect: true, noDelay: true, allowHalfOpen }, receive)
  await new Promise<void>((resolve, reject) => {
    const fail = (cause: Error) => reject(new NightjarError('connect-failed', { detail: 'cannot listen', cause }))
    server.once('error', fail)
    server.listen({ host, port }, () => {
      server.off('error', fail)
      server.on('error', onError)
      resolve()
    })
  })

  return {
    port: (server.address() as AddressInfo).port,
    close: () => new Promise((resolve) => void server.close(() => resolve())),
  }
}
