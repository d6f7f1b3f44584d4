/** The services that a relay's roles bring, on top of streams: those of the gateway, and that of the exit. */
import { randomInt } from 'node:crypto'
import { networkInterfaces } from 'node:os'
import { isDeepStrictEqual } from 'node:util'
import type { Accept } from '@nightjar/shared/circuit'
import type { Crypto } from '@nightjar/shared/crypto'
import type { ResponderSecrets } from '@nightjar/shared/handshake'
import { type Clock, millisecond, second } from '@nightjar/shared/runtime'
import type { Check } from './admin/status.ts'
import type { RelayConfig } from './config.ts'
import type { Connect } from './exit/connect.ts'
import { createExit, type ExitCounts } from './exit/exit.ts'
import type { Resolve } from './exit/resolve.ts'
import { AnswerMemory } from './gateway/answerMemory.ts'
import { BroadcastMemory } from './gateway/broadcasts.ts'
import { createGateway, type FollowedCounts, type Gateway } from './gateway/gateway.ts'
import { HeadsSocket } from './gateway/headsSocket.ts'
import { GatewayHealth } from './gateway/health.ts'
import { serveGateway } from './gateway/session.ts'
import { type UpstreamMetrics, Upstreams } from './gateway/upstream.ts'
import { RenewableService, sumFollowed } from './life/renewableService.ts'
import type { OnRefused } from './limits/refusal.ts'
import type { CircuitHost } from './relay/host.ts'

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
  /** Told what a gateway refused because of a limit. */
  onRefused?: OnRefused
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

/** One service as it is opened, with what only metrics ask for. */
export interface OpenService extends Services {
  chains(): readonly ChainState[]
  followed(): FollowedCounts
  /** Resolves when nothing of its own goes on for clients that are gone. */
  quiet(): Promise<void>
}

export interface OpenServices extends Omit<OpenService, 'quiet'> {
  /** What `config` changes is in use for circuits that begin from now on; the others keep what they began with. */
  renew(config: RelayConfig): void
}

/** All of them; a BEGIN goes to the first that knows its service, and without one it is refused. */
export function openServices(
  config: RelayConfig,
  context: ServicesContext,
  secrets: () => ServiceSecrets,
): OpenServices {
  const kept: Kept = {
    answers: new AnswerMemory((config.limits.queue_mb * 1024 ** 2) / config.workers),
    broadcasts: new Map(),
  }
  const open = {
    gateway: (of: RelayConfig) => of.gateway && openGateway(of, of.gateway, context, secrets, kept),
    exit: (of: RelayConfig) => of.exit && openExit(of, of.exit, context),
  }
  let current = config
  const byRole = new Map<'gateway' | 'exit', RenewableService>()
  for (const role of ['gateway', 'exit'] as const) {
    const service = open[role](config)
    if (service !== undefined) byRole.set(role, new RenewableService(service))
  }
  const opened = [...byRole.values()]
  return {
    renew(next) {
      for (const [role, service] of byRole) {
        if (isDeepStrictEqual(current[role], next[role])) continue
        const renewed = open[role](next)
        if (renewed !== undefined) service.renew(renewed)
      }
      current = next
    },
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
    followed: () => sumFollowed(opened.map((each) => each.followed())),
    async close() {
      await Promise.all(opened.map((each) => each.close()))
    },
  }
}

/** What a gateway has that outlives a change of its configuration. */
interface Kept {
  readonly answers: AnswerMemory
  /** By chain. */
  readonly broadcasts: Map<number, BroadcastMemory>
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
  { answers: memory, broadcasts }: Kept,
): OpenService {
  const { crypto, clock, observe = (gateway) => gateway, onRefused = () => {} } = context
  const localAddress = config.outbound_address
  const asking = {
    timeout: section.request_timeout_seconds * second,
    maxAnswerBytes: section.limits.max_answer_bytes,
    memory,
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
      const broadcastMemory = broadcasts.get(id) ?? new BroadcastMemory()
      broadcasts.set(id, broadcastMemory)
      const headsEvery = chain.heads_poll_ms * millisecond
      return [id, { upstreams, transactions, pushedHeads, headsEvery, broadcastMemory }]
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
    serve: (onEnded) => serveGateway({ crypto, clock, memory, onRefused, gateway: observe(counted), secrets, onEnded }),
    health: () => health.checks(),
    chains: () =>
      [...reads].map(([chain, { areWell }]) => ({ chain, areWell, headFailures: gateway.headFailures(chain) })),
    followed: () => gateway.followed(),
    quiet: () => gateway.quiet(),
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
): OpenService {
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
    followed: () => sumFollowed([]),
    quiet: () => Promise.resolve(),
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
