/** Many independent clients in one process, each with its own guards, trunks and groups, asking over real sockets. */
import type { Crypto } from '@nightjar/shared/crypto'
import type { Network } from '@nightjar/shared/directory'
import { asNightjarError } from '@nightjar/shared/errors'
import type { Call } from '@nightjar/shared/rpc'
import { type Clock, pause, second } from '@nightjar/shared/runtime'
import type { Dial } from '@nightjar/shared-node/link'
import { type Client, createClient } from '../client/client.ts'
import { freshState } from '../state/store.ts'

export interface RequestLoad {
  readonly crypto: Crypto
  readonly clock: Clock
  readonly dial: Dial
  readonly extraCa: string | undefined
  readonly network: Network
  readonly clients: number
  /** In all. */
  readonly requests: number
  /** Under way at once, over all clients. */
  readonly concurrency: number
  readonly chain: number
  readonly call: Call
  /** Called with what was done so far, now and then. */
  onProgress(done: number): void
}

export interface RequestResult {
  readonly clients: number
  readonly requests: number
  readonly ok: number
  /** Requests answered with a JSON-RPC error. */
  readonly rpcErrors: number
  /** Requests without an answer, by our error code. */
  readonly failed: Readonly<Record<string, number>>
  readonly p50Ms: number
  readonly p99Ms: number
  readonly perSecond: number
}

const startTimeout = 30 * second

export async function loadRequests(load: RequestLoad): Promise<RequestResult> {
  const clients = Array.from({ length: load.clients }, () => startClient(load))
  try {
    await Promise.all(clients.map((client) => untilUp(load.clock, client)))
    return await run(load, clients)
  } finally {
    await Promise.all(clients.map((client) => client.stop()))
  }
}

export type ClientSource = Pick<RequestLoad, 'crypto' | 'clock' | 'dial' | 'extraCa' | 'network'>

export function startClient({ crypto, clock, dial, extraCa, network }: ClientSource): Client {
  const state = freshState(crypto.randomBytes)
  const client = createClient({ crypto, clock, dial, extraCa, network: () => network, state })
  client.start()
  return client
}

export async function untilUp(clock: Clock, client: Client): Promise<void> {
  const deadline = clock.now() + startTimeout
  while (client.status().trunks.length === 0 && clock.now() < deadline) await pause(clock, 20)
}

async function run(load: RequestLoad, clients: readonly Client[]): Promise<RequestResult> {
  const durations: number[] = []
  const failed: Record<string, number> = {}
  let rpcErrors = 0
  let next = 0

  async function worker(): Promise<void> {
    for (let number = next++; number < load.requests; number = next++) {
      const client = clients[number % clients.length] as Client
      const begun = performance.now()
      try {
        const outcome = await client.request({ group: 'load', chain: load.chain, call: load.call })
        durations.push(performance.now() - begun)
        if ('error' in outcome) rpcErrors += 1
      } catch (error) {
        const { code } = asNightjarError(error)
        failed[code] = (failed[code] ?? 0) + 1
      }
      if (number % 1000 === 999) load.onProgress(number + 1)
    }
  }

  const begun = performance.now()
  await Promise.all(Array.from({ length: Math.min(load.concurrency, load.requests) }, worker))
  const seconds = (performance.now() - begun) / 1000
  durations.sort((a, b) => a - b)
  return {
    clients: clients.length,
    requests: load.requests,
    ok: durations.length - rpcErrors,
    rpcErrors,
    failed,
    p50Ms: quantile(durations, 0.5),
    p99Ms: quantile(durations, 0.99),
    perSecond: durations.length / seconds,
  }
}

/** The value below which `share` of the sorted values lie; 0 where there are none. */
function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(Math.floor(sorted.length * share), sorted.length - 1)] ?? 0
}
