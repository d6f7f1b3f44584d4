/** The services that a relay's roles bring, on top of streams: those of the gateway, and that of the exit. */
import { randomInt } from 'node:crypto'
import { networkInterfaces } from 'node:os'
import type { Accept } from '@nightjar/shared/circuit'
import type { Crypto } from '@nightjar/shared/crypto'
import type { ResponderSecrets } from '@nightjar/shared/handshake'
import { type Clock, millisecond, second } from '@nightjar/shared/runtime'
import type { Check } from './admin/status.ts'
import type { RelayConfig } from './config.ts'
import type { Connect } from './exit/connect.ts'
import { createExit, type ExitCounts } from './exit/exit.ts'
import type { Resolve } from './exit/resolve.ts'
import { createGateway, type Gateway } from './gateway/gateway.ts'
import { HeadsSocket } from './gateway/headsSocket.ts'
import { GatewayHealth } from './gateway/health.ts'
import { serveGateway } from './gateway/session.ts'
import { type UpstreamMetrics, Upstreams } from './gateway/upstream.ts'
import type { CircuitHost } from './relay/circuit.ts'

export interface ServicesContext {
  readonly crypto: Crypto
  readonly clock: Clock
  /** For exits: how names become addresses, and how one is connected to from `localAddress`. */
  readonly resolve: Resolve
  connectFrom(localAddress: string | undefined): Connect
  /** The gateway as one circuit is served by it, where it is not the gateway itself. */
  observe?(gateway: Gateway): Gateway
  /** Told what becomes of a gateway's questions to the providers of `chain`. */
  upstreamMetrics?(chain: number): UpstreamMetrics
  /** What exits count into. */
  readonly exitCounts?: ExitCounts
}

/** What the services need of the relay's keys. */
export interface ServiceSecrets extends ResponderSecrets {
  /** The envelope key that clients are told of now: the newest that is valid. */
  readonly envelopeKeyId?: Uint8Array | undefined
}

export interface Services {
  readonly serve: CircuitHost['serve']
  /** What was found when the services were looked at last; nothing where there is nothing to look at. */
  health(): readonly Check[]
  close(): Promise<void>
}

/** What a gateway says of one chain when it is asked. */
export interface ChainState {
  readonly chain: number
  /** By upstream: whether it gets questions. */
  readonly areWell: readonly boolean[]
  /** Looks for a new head that gave none. */
  readonly headFailures: number
}

/** The services as they are opened, with what only metrics ask for. */
export interface OpenServices extends Services {
  chains(): readonly ChainState[]
}

/** All of them; a BEGIN goes to the first that knows its service, and without one it is refused. */
export function openServices(
  config: RelayConfig,
  context: ServicesContext,
  secrets: () => ServiceSecrets,
): OpenServices {
  const opened: OpenServices[] = []
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
    health: () => opened.flatMap((each) => each.health()),
    chains: () => opened.flatMap((each) => each.chains()),
    async close() {
      await Promise.all(opened.map((each) => each.close()))
    },
  }
}

/** A look at the providers for each so many looks for a new head. */
const headsPerLook = 5

/** Whoever wants no metrics. */
const silent: UpstreamMetrics = { onOutcome() {}, onEjected() {}, onHedged() {} }

function openGateway(
  config: RelayConfig,
  section: NonNullable<RelayConfig['gateway']>,
  context: ServicesContext,
  secrets: () => ServiceSecrets,
): OpenServices {
  const { crypto, clock, observe = (gateway) => gateway } = context
  const localAddress = config.outbound_address
  const asking = {
    timeout: section.request_timeout_seconds * second,
    maxAnswerBytes: section.limits.max_answer_bytes,
    localAddress,
    clock,
    random,
  }
  const reads = new Map<number, Upstreams>()
  const writes: Upstreams[] = []
  const chains = new Map(
    Object.entries(section.chains).map(([name, chain]) => {
      const id = Number(name)
      const lookEvery = chain.heads_poll_ms * headsPerLook * millisecond
      const { heads_url: headsUrl, max_head_age_seconds: maxHeadAge } = chain
      const upstreams = new Upstreams({
        ...asking,
        upstreams: chain.upstreams,
        chain: id,
        strategy: chain.strategy,
        lookEvery,
        maxHeadAge: maxHeadAge === undefined ? undefined : maxHeadAge * second,
        metrics: context.upstreamMetrics?.(id) ?? silent,
      })
      reads.set(id, upstreams)
      const transactions =
        chain.transactions === undefined
          ? undefined
          : new Upstreams({
              ...asking,
              upstreams: [{ ...chain.transactions, weight: 1 }],
              // Such a service need not answer anything else.
              chain: undefined,
              strategy: 'weighted',
              lookEvery,
              metrics: silent,
            })
      if (transactions !== undefined) writes.push(transactions)
      const pushedHeads =
        headsUrl === undefined ? undefined : new HeadsSocket({ url: headsUrl, chain: id, localAddress, clock })
      return [id, { upstreams, transactions, pushedHeads, headsEvery: chain.heads_poll_ms * millisecond }]
    }),
  )
  const health = new GatewayHealth({
    crypto,
    clock,
    secrets,
    envelopeKeyId: () => secrets().envelopeKeyId,
    upstreams: reads,
  })
  const gateway = createGateway(chains, {
    clock,
    random,
    batchWindow: section.batch_window_ms * millisecond,
    callLimits: { logBlocks: section.limits.max_log_blocks, callGas: section.limits.max_call_gas },
  })
  const counted = health.counted(gateway)
  for (const upstreams of reads.values()) upstreams.start()
  health.start()
  return {
    serve: (onEnded) => serveGateway({ crypto, gateway: observe(counted), secrets, onEnded }),
    health: () => health.checks(),
    chains: () =>
      [...reads].map(([chain, { areWell }]) => ({ chain, areWell, headFailures: gateway.headFailures(chain) })),
    async close() {
      health.close()
      gateway.close()
      await Promise.all([...reads.values(), ...writes].map((each) => each.close()))
    },
  }
}

/** In [0, 1). Not `Math.random`: whoever sees some of its numbers can work out the others, and the order of a batch with them. */
function random(): number {
  return randomInt(2 ** 47) / 2 ** 47
}

function openExit(
  config: RelayConfig,
  section: NonNullable<RelayConfig['exit']>,
  { clock, resolve, connectFrom, exitCounts }: ServicesContext,
): OpenServices {
  const { outbound_address: outbound } = config
  const named = [config.listen.host, outbound ?? [], hostOf(config.public_address)].flat()
  const exit = createExit({
    policy: section,
    maxStreams: section.max_streams,
    clock,
    resolve,
    connect: connectFrom(outbound),
    own: () => [...named, ...interfaceAddresses()],
    ...(exitCounts && { counts: exitCounts }),
  })
  return {
    serve: () => exit.serve(),
    health: () => [],
    chains: () => [],
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
