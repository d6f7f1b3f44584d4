/** The services that a relay's roles bring, on top of streams: those of the gateway, and that of the exit. */
import { networkInterfaces } from 'node:os'
import type { Accept } from '@nightjar/shared/circuit'
import type { Crypto } from '@nightjar/shared/crypto'
import type { ResponderSecrets } from '@nightjar/shared/handshake'
import { type Clock, millisecond, second } from '@nightjar/shared/runtime'
import type { RelayConfig } from './config.ts'
import type { Connect } from './exit/connect.ts'
import { createExit } from './exit/exit.ts'
import type { Resolve } from './exit/resolve.ts'
import { createGateway, type Gateway } from './gateway/gateway.ts'
import { serveGateway } from './gateway/session.ts'
import { type UpstreamConfig, Upstreams } from './gateway/upstream.ts'
import type { CircuitHost } from './relay/circuit.ts'

export interface ServicesContext {
  readonly crypto: Crypto
  readonly clock: Clock
  /** For exits: how names become addresses, and how one is connected to from `localAddress`. */
  readonly resolve: Resolve
  connectFrom(localAddress: string | undefined): Connect
  /** The gateway as one circuit is served by it, where it is not the gateway itself. */
  observe?(gateway: Gateway): Gateway
}

export interface Services {
  readonly serve: CircuitHost['serve']
  close(): Promise<void>
}

/** All of them; a BEGIN goes to the first that knows its service, and without one it is refused. */
export function openServices(config: RelayConfig, context: ServicesContext, secrets: () => ResponderSecrets): Services {
  const opened: Services[] = []
  if (config.gateway !== undefined) opened.push(openGateway(config, config.gateway, context, secrets))
  if (config.exit !== undefined) opened.push(openExit(config, config.exit, context))
  return {
    serve(onEnded) {
      const accepts = opened.map(({ serve }): Accept => serve(onEnded))
      return (stream, opening) => {
        for (const accept of accepts) {
          const accepted = accept(stream, opening)
          if (accepted !== 'unknown-service') return accepted
        }
        return 'unknown-service'
      }
    },
    async close() {
      await Promise.all(opened.map((each) => each.close()))
    },
  }
}

function openGateway(
  config: RelayConfig,
  section: NonNullable<RelayConfig['gateway']>,
  { crypto, clock, observe = (gateway) => gateway }: ServicesContext,
  secrets: () => ResponderSecrets,
): Services {
  const opened: Upstreams[] = []
  function open(upstreams: readonly UpstreamConfig[]): Upstreams {
    const each = new Upstreams({
      upstreams,
      timeout: section.request_timeout_seconds * second,
      localAddress: config.outbound_address,
      random: Math.random,
    })
    opened.push(each)
    return each
  }
  const chains = new Map(
    Object.entries(section.chains).map(([id, { upstreams, transactions, heads_poll_ms }]) => [
      Number(id),
      {
        upstreams: open(upstreams),
        transactions: transactions && open([{ ...transactions, weight: 1 }]),
        headsEvery: heads_poll_ms * millisecond,
      },
    ]),
  )
  const gateway = createGateway(chains, { clock, random: Math.random })
  return {
    serve: (onEnded) => serveGateway({ crypto, gateway: observe(gateway), secrets, onEnded }),
    async close() {
      gateway.close()
      await Promise.all(opened.map((each) => each.close()))
    },
  }
}

function openExit(
  config: RelayConfig,
  section: NonNullable<RelayConfig['exit']>,
  { clock, resolve, connectFrom }: ServicesContext,
): Services {
  const { outbound_address: outbound } = config
  const named = [config.listen.host, outbound ?? [], hostOf(config.public_address)].flat()
  const exit = createExit({
    policy: section,
    maxStreams: section.max_streams,
    clock,
    resolve,
    connect: connectFrom(outbound),
    own: () => [...named, ...interfaceAddresses()],
  })
  return {
    serve: () => exit.serve(),
    async close() {
      exit.close()
    },
  }
}

/** The host of a URL; without the brackets of an IPv6 address. */
function hostOf(url: string): string {
  return new URL(url).hostname.replace(/^\[|\]$/g, '')
}

function interfaceAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((all = []) => all.map(({ address }) => address))
}
