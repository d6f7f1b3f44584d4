/**
 * Several workers behind one port. The parent has the front: it counts addresses and how many come, hands each connection
 * that passes to the next worker in turn, and never reads a byte of one. A circuit lives wholly in the worker that got its
 * link, so workers share nothing, and one that dies or hangs takes nobody else's circuits along. It is replaced.
 */
import type { Socket } from 'node:net'
import { NightjarError } from '@nightjar/shared/errors'
import { type Clock, millisecond, minute, second, type Timer, within } from '@nightjar/shared/runtime'
import { type LocalIpGate, listProxies, openFront } from '@nightjar/shared-node/link'
import type { Log } from '@nightjar/shared-node/log'
import { createParentMetrics } from '../admin/metrics.ts'
import { sumOf } from '../admin/reading.ts'
import type { Check } from '../admin/status.ts'
import type { RelayConfig } from '../config.ts'
import { createAudit } from '../limits/audit.ts'
import type { Refusal } from '../limits/refusal.ts'
import type { Carrier, Leave } from './carrier.ts'
import { errorFacts } from './errorFacts.ts'
import { Tally } from './tally.ts'
import { WorkerHandle } from './workerHandle.ts'
import type { ForkWorker } from './workerProcess.ts'

export interface WorkersOptions {
  readonly config: RelayConfig
  readonly log: Log
  readonly clock: Clock
  readonly fork: ForkWorker
  /** Counts connections by address, for all of them. */
  readonly ipGate?: LocalIpGate | undefined
}

const firstPause = 100 * millisecond
const longestPause = 30 * second
/** One that ran for so long is replaced at once, however many died before. */
const provenAfter = 1 * minute
/** For numbers; who does not give any in time is shown as it was before. */
const readTimeout = 5 * second
/** For a new configuration; who does not take it in time is replaced by one that begins with it. */
const reloadTimeout = 30 * second
/** Beyond the time to leave: whoever is still there then is ended. */
const leaveGrace = 2 * second

/** Resolves when all of them serve. @throws NightjarError why one does not, or `connect-failed` */
export async function startWorkers(options: WorkersOptions): Promise<Carrier> {
  const { log, clock, ipGate } = options
  let { config } = options
  /** Of configuration and keys together: grows with each that is to be in use from then on. */
  let version = 0
  const metrics = createParentMetrics(config)
  const audit = createAudit(log, clock)
  const tally = new Tally()
  const workers = new Set<WorkerHandle>()
  const replacing = new Set<Timer>()
  let crashes = 0
  let isStopping = false
  let turn = 0

  const serving = () => [...workers].filter(({ isServing }) => isServing)

  async function add(): Promise<void> {
    const worker = new WorkerHandle(options.fork(), ipGate)
    const since = clock.elapsed()
    let isUp = false
    workers.add(worker)
    worker.onEnd(() => {
      workers.delete(worker)
      tally.bury(worker.lastReading)
      if (isUp && !isStopping) replace(since)
    })
    worker.version = version
    try {
      await worker.start(config)
      await catchUp(worker)
    } catch (error) {
      await worker.kill()
      throw error
    }
    isUp = true
    if (isStopping) worker.stop({ seconds: 0, hurry: AbortSignal.abort() })
  }

  /** From then on it serves: with what is in use, however often that has changed meanwhile. */
  async function catchUp(worker: WorkerHandle): Promise<void> {
    while (worker.version !== version) {
      worker.version = version
      await worker.reload(config)
    }
    worker.isServing = true
  }

  function replace(since: number): void {
    crashes = clock.elapsed() - since >= provenAfter ? 1 : crashes + 1
    const pause = crashes === 1 ? 0 : Math.min(firstPause * 2 ** (crashes - 2), longestPause)
    metrics.onWorkerReplaced()
    log.error('a worker ended by itself and is replaced', { pause })
    const timer = clock.after(pause, () => {
      replacing.delete(timer)
      const began = clock.elapsed()
      add().catch((error: unknown) => {
        log.error('a worker did not start', errorFacts(error))
        if (!isStopping) replace(began)
      })
    })
    replacing.add(timer)
  }

  let nextLook: Timer | undefined
  /** Counts looks and not time: after this process itself stood still, all have been silent for one of them. */
  function lookForSilent(): void {
    for (const worker of workers) {
      if (!worker.isTooSilent()) continue
      log.error('a worker hangs and is ended')
      void worker.kill()
    }
    nextLook = clock.after(1 * second, lookForSilent)
  }

  function onRefused(refusal: Refusal): void {
    audit.refused(refusal)
    metrics.onRefused(refusal)
  }

  function hand(connection: Socket, address: string | undefined): void {
    const up = serving()
    const speaking = up.filter(({ isSpeaking }) => isSpeaking)
    const able = speaking.length > 0 ? speaking : up
    const worker = able[turn % able.length]
    turn += 1
    if (worker !== undefined) return worker.hand(connection, address)
    if (address !== undefined) ipGate?.release(address)
    connection.resetAndDestroy()
  }

  async function killAll(): Promise<void> {
    isStopping = true
    for (const timer of replacing) timer.cancel()
    await Promise.all([...workers].map((worker) => worker.kill()))
    nextLook?.cancel()
  }

  function open() {
    const { host, port, trusted_proxies } = config.listen
    const proxies = listProxies(trusted_proxies)
    const onProblem = (error: NightjarError) => log.error('no connections come in', errorFacts(error))
    return openFront({ host, port, clock, ipGate, proxies, allowHalfOpen: true, onRefused, onProblem, take: hand })
  }

  lookForSilent()
  let front: Awaited<ReturnType<typeof open>>
  try {
    await Promise.all(Array.from({ length: config.workers }, add))
    front = await open()
  } catch (error) {
    await killAll()
    throw error
  }

  /** Has those do it that serve. One that ends, or is too slow for it, is replaced by one that begins with it. */
  async function order(each: readonly WorkerHandle[], give: (worker: WorkerHandle) => Promise<void>): Promise<void> {
    const tooSlow = new NightjarError('timed-out')
    const given = each.map(async (worker) => {
      try {
        await within(clock, reloadTimeout, give(worker), () => tooSlow)
      } catch (error) {
        if (worker.isOver) return
        if (error !== tooSlow) throw error
        log.error('a worker does not take the configuration and is ended')
        await worker.kill()
      }
    })
    for (const result of await Promise.allSettled(given)) if (result.status === 'rejected') throw result.reason
  }

  /** One after the other: what is in use is what was given last. */
  let renewed: Promise<void> = Promise.resolve()
  function renew(give: (worker: WorkerHandle) => Promise<void>, next?: RelayConfig): Promise<void> {
    const result = renewed.then(() => renewNow(give, next))
    renewed = result.catch(() => {})
    return result
  }

  async function renewNow(give: (worker: WorkerHandle) => Promise<void>, next = config): Promise<void> {
    const asked = serving()
    await order(asked, give)
    config = next
    version += 1
    for (const worker of asked) worker.version = version
    // Those that came to serve meanwhile; those that are starting catch up by themselves.
    const late = serving().filter((worker) => worker.version !== version)
    // In use it is already: one that cannot have it is replaced.
    await order(late, (worker) => catchUp(worker).catch(() => worker.kill()))
  }

  function checks(): readonly Check[] {
    const able = serving()
    const ok = able.length > 0
    const sentence = ok ? 'Workers serve.' : 'No worker serves: see the log for why they end.'
    return [{ name: 'workers', ok, sentence }, ...worstOf(able.map((worker) => worker.checks))]
  }

  return {
    port: front.port,
    checks,
    async read() {
      const asked = [...workers].map((worker) =>
        within(clock, readTimeout, worker.read(), () => new NightjarError('timed-out')),
      )
      // What each has said last stays with it, and is with the dead where it is over.
      await Promise.allSettled(asked)
      const living = [...workers].flatMap(({ lastReading }) => (lastReading === undefined ? [] : [lastReading]))
      const dead = tally.total
      return sumOf([await metrics.serialise(), ...living, await dead])
    },
    reload: (next) => renew((worker) => worker.reload(next), next),
    reloadKeys: () => renew((worker) => worker.reloadKeys()),
    async stop({ seconds, hurry }: Leave) {
      isStopping = true
      for (const timer of replacing) timer.cancel()
      const end = () => void killAll()
      let last = clock.after(seconds * second + leaveGrace, end)
      hurry.addEventListener('abort', () => {
        last.cancel()
        last = clock.after(leaveGrace, end)
      })
      await Promise.all([...workers].map((worker) => worker.stop({ seconds, hurry })))
      last.cancel()
      nextLook?.cancel()
      audit.stop()
      // Not waited for: Node counts the connections of workers that were killed as open for ever.
      void front.close()
    },
  }
}

/** Each check once; where one worker has a problem, that is what is said. */
function worstOf(all: readonly (readonly Check[])[]): readonly Check[] {
  const byName = new Map<string, Check>()
  for (const check of all.flat()) if (byName.get(check.name)?.ok !== false) byName.set(check.name, check)
  return [...byName.values()]
}
