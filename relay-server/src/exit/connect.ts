/**
 * From addresses to one connection, as "happy eyeballs" (RFC 8305) does it: families in turn, the next attempt 250 ms
 * after the last or as soon as that fails, the first that stands wins and the others are given up.
 */
import { connect, type Socket } from 'node:net'
import { NightjarError } from '@nightjar/shared/errors'
import { limits } from '@nightjar/shared/limits'
import { type Clock, millisecond, type Timer } from '@nightjar/shared/runtime'
import { familyOf } from './addresses.ts'

export interface Connection {
  readonly socket: Socket
  /** The address that the socket says it is connected to. */
  readonly remoteAddress: string
}

/** Connects to one address, with `allowHalfOpen`; gives up when `signal` is aborted before that. */
export type Connect = (address: string, port: number, signal: AbortSignal) => Promise<Connection>

/** RFC 8305, section 8: Connection Attempt Delay. */
const attemptDelay = 250 * millisecond

/** Real sockets, from `localAddress` where one is given. */
export function connectBySystem(localAddress: string | undefined): Connect {
  return (address, port, signal) =>
    new Promise((resolve, reject) => {
      const socket = connect({
        host: address,
        port,
        allowHalfOpen: true,
        ...(localAddress === undefined ? {} : { localAddress }),
      })
      const giveUp = () => socket.destroy(new NightjarError('cancelled'))
      signal.addEventListener('abort', giveUp, { once: true })
      socket.once('error', reject)
      socket.once('connect', () => {
        signal.removeEventListener('abort', giveUp)
        socket.off('error', reject)
        resolve({ socket, remoteAddress: socket.remoteAddress ?? '' })
      })
    })
}

/**
 * A connection to the first of `addresses` that takes one; of many the first eight are tried, of each family some.
 * @throws NightjarError `host-unreachable` where none does, or `cancelled` by `signal`
 */
export function connectToFirst(
  addresses: readonly string[],
  port: number,
  { connect, clock, signal }: { connect: Connect; clock: Clock; signal: AbortSignal },
): Promise<Connection> {
  return new Promise((resolve, reject) => {
    const waiting = familiesInTurn(addresses).slice(0, limits.addressesPerName)
    const attempts = new AbortController()
    let running = 0
    let timer: Timer | undefined

    /** Ends all attempts but the one that won, which listens no more. */
    function settle(): void {
      timer?.cancel()
      signal.removeEventListener('abort', cancel)
      attempts.abort()
    }

    function cancel(): void {
      settle()
      reject(new NightjarError('cancelled'))
    }

    function fail(cause: unknown): void {
      running -= 1
      if (attempts.signal.aborted) return
      if (waiting.length > 0) return next()
      if (running > 0) return
      settle()
      reject(new NightjarError('host-unreachable', { cause }))
    }

    function succeed(connection: Connection): void {
      // Another was faster, in the same turn.
      if (attempts.signal.aborted) return void connection.socket.destroy()
      settle()
      resolve(connection)
    }

    function next(): void {
      timer?.cancel()
      const address = waiting.shift()
      if (address === undefined) return
      running += 1
      if (waiting.length > 0) timer = clock.after(attemptDelay, next)
      connect(address, port, attempts.signal).then(succeed, fail)
    }

    if (signal.aborted) return cancel()
    signal.addEventListener('abort', cancel)
    next()
  })
}

/** IPv6 first, then one of each family in turn (RFC 8305, section 4). */
export function familiesInTurn(addresses: readonly string[]): string[] {
  const v6 = addresses.filter((address) => familyOf(address) === 'ipv6')
  const v4 = addresses.filter((address) => familyOf(address) === 'ipv4')
  const longest = v6.length > v4.length ? v6 : v4
  return longest.flatMap((_, index) => [v6[index], v4[index]].filter((address) => address !== undefined))
}
