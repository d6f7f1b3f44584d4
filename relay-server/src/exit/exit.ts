/**
 * The exit's service `tcp` (shared/src/shield/target.ts says what passes on the wire): a stream of a circuit joined with a
 * TCP connection to a host of the published list, as far as the operator carries it. TLS, and so the content, is between
 * the client and the host.
 *
 * What it connects to is checked three times: the name against the list, each address that the name has, at every
 * connection, and the address that the socket then is connected to. Nothing here logs a host, an address or a port.
 *
 * When all places are taken (`maxStreams`) they are shared evenly among circuits, of which one client has at most as many
 * as it has branches: who asks for another gets a place of the circuit that has most connections, unless it would then
 * have more than that one. The connection on which nothing has moved for longest goes.
 */
import { isIP, type Socket } from 'node:net'
import type { Accept, Budget, Stream } from '@nightjar/shared/circuit'
import { asNightjarError, type ErrorCode, NightjarError } from '@nightjar/shared/errors'
import { limits } from '@nightjar/shared/limits'
import type { Clock } from '@nightjar/shared/runtime'
import { allows, decodeTarget, type ExitPolicy, listedPort, normaliseHost, tcpService } from '@nightjar/shared/shield'
import { type Splice, splice } from '@nightjar/shared-node/splice'
import { mayConnectTo } from './addresses.ts'
import { type Connect, connectToFirst } from './connect.ts'
import { type Resolve, rememberNames } from './resolve.ts'

export interface ExitOptions {
  readonly policy: Omit<ExitPolicy, 'list'>
  /** Connections of the whole process at once. */
  readonly maxStreams: number
  readonly clock: Clock
  readonly resolve: Resolve
  readonly connect: Connect
  /** Addresses and names of this machine, as far as they are known; asked for at every connection. */
  own(): readonly string[]
  /** What the streams of one branch may move; `limits.tcpBytesPerBranch`. */
  readonly bytesPerBranch?: number
  /** Counted into: those of the whole process, which may open one exit after the other. */
  readonly counts?: ExitCounts
}

/** Numbers of this process since its start. */
export interface ExitCounts {
  /** Streams that have a connection, or are getting one; given up ones as long as their name is still asked for. */
  open: number
  /** How streams ended, those included that were refused: by code, `done` for the ones that ended well. */
  readonly ended: Map<ErrorCode, number>
  /** Bytes of streams that have ended: from hosts, and to hosts. */
  fromHosts: number
  toHosts: number
}

export function noExitCounts(): ExitCounts {
  return { open: 0, ended: new Map(), fromHosts: 0, toHosts: 0 }
}

export interface Exit {
  /** The service for one circuit. */
  serve(): Accept
  readonly counts: Readonly<ExitCounts>
  /** Ends all streams. */
  close(): void
}

/** What one circuit has open. */
interface Holder {
  /** Streams with a connection and those that are getting one. */
  streams: number
  /** Of those with one: what can be taken away. */
  readonly connected: Set<Splice>
}

export function createExit(options: ExitOptions): Exit {
  const { policy, clock, connect, maxStreams, bytesPerBranch = limits.tcpBytesPerBranch } = options
  const { counts = noExitCounts() } = options
  const resolve = rememberNames(options.resolve, clock)
  const open = new Set<Splice>()
  /** The circuits that have a connection. */
  const holders = new Set<Holder>()

  function count<C extends ErrorCode>(code: C): C {
    counts.ended.set(code, (counts.ended.get(code) ?? 0) + 1)
    return code
  }

  function forget(joined: Splice): void {
    if (open.delete(joined)) counts.open -= 1
  }

  async function ownAddresses(): Promise<readonly string[]> {
    const each = options.own().map((own) => (isIP(own) === 0 ? resolve(own) : [own]))
    return (await Promise.all(each)).flat()
  }

  async function connectTo(host: string, signal: AbortSignal): Promise<Socket> {
    const [addresses, own] = await Promise.all([resolve(host), ownAddresses()])
    const allowed = addresses.filter((address) => mayConnectTo(address, own))
    if (allowed.length === 0) throw new NightjarError(addresses.length === 0 ? 'name-not-found' : 'address-forbidden')
    const { socket, remoteAddress } = await connectToFirst(allowed, listedPort, { connect, clock, signal })
    if (mayConnectTo(remoteAddress, own)) return socket
    socket.destroy()
    throw new NightjarError('address-forbidden')
  }

  /** Whether there is room for another stream of `holder`, if need be made at another's cost. */
  function makeRoom(holder: Holder): boolean {
    if (open.size < maxStreams) return true
    let richest: Holder | undefined
    for (const each of holders) if (each.connected.size > (richest?.connected.size ?? 0)) richest = each
    if (richest === undefined || richest.connected.size <= holder.streams + 1) return false
    let quietest: Splice | undefined
    for (const each of richest.connected) {
      if (each.lastMoved < (quietest?.lastMoved ?? Number.POSITIVE_INFINITY)) quietest = each
    }
    quietest?.end('limit-reached')
    return true
  }

  function openStream(stream: Stream, host: string, budget: Budget, holder: Holder): Splice {
    const connecting = new AbortController()
    const joined = splice({
      stream: () => stream,
      clock,
      idleAfter: limits.tcpIdle,
      budget,
      onEnd(code) {
        connecting.abort()
        count(code)
        counts.fromHosts += joined.sent
        counts.toHosts += joined.received
        if (holder.connected.delete(joined)) forget(joined)
        if (holder.connected.size === 0) holders.delete(holder)
        // A client that asks and leaves must not be able to have more names asked for than it may have streams.
        void attempt.then(() => {
          forget(joined)
          holder.streams -= 1
        })
      },
    })
    open.add(joined)
    counts.open += 1
    holder.streams += 1
    const timer = clock.after(limits.tcpConnectTimeout, () => joined.end('timed-out'))
    const attempt = connectTo(host, connecting.signal)
      .then((socket) => {
        stream.connected()
        joined.start(socket)
        if (connecting.signal.aborted) return
        holder.connected.add(joined)
        holders.add(holder)
      })
      .catch((error: unknown) => joined.end(asNightjarError(error).code))
      .finally(() => timer.cancel())
    return joined
  }

  return {
    counts,

    serve() {
      const budget: Budget = { left: bytesPerBranch }
      const holder: Holder = { streams: 0, connected: new Set() }
      return (stream, { service, argument, isFree }) => {
        if (service !== tcpService) return 'unknown-service'
        // What hosts send is bounded by credit alone.
        if (isFree) return count('protocol-violation')
        let host: string | undefined
        try {
          const target = decodeTarget(argument)
          host = target.port === listedPort ? normaliseHost(target.host) : undefined
        } catch (error) {
          return count(asNightjarError(error).code)
        }
        if (host === undefined || !allows(policy, host)) return count('host-not-listed')
        if (holder.streams >= limits.tcpStreamsPerBranch || !makeRoom(holder)) return count('limit-reached')
        return openStream(stream, host, budget, holder).handler
      }
    },

    close() {
      for (const joined of open) joined.end('draining')
    },
  }
}
