/**
 * Several workers behind one port. The parent listens, hands each connection to the next worker in turn, and owns what is
 * counted per address; it never reads a byte of a connection. A circuit lives wholly in the worker that got its link, so
 * workers share nothing, and one that dies takes nobody else's circuits along. It is replaced.
 */
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { NightjarError } from '@nightjar/shared/errors'
import { type Clock, millisecond, minute, second, type Timer, within } from '@nightjar/shared/runtime'
import type { IpGate } from '@nightjar/shared-node/link'
import type { Log } from '@nightjar/shared-node/log'
import { createParentMetrics } from '../admin/metrics.ts'
import { sumOf } from '../admin/reading.ts'
import type { Check } from '../admin/status.ts'
import type { RelayConfig } from '../config.ts'
import type { Carrier, Leave } from './carrier.ts'
import { WorkerHandle } from './workerHandle.ts'
import type { ForkWorker } from './workerProcess.ts'

export interface WorkersOptions {
  readonly config: RelayConfig
  readonly log: Log
  readonly clock: Clock
  readonly fork: ForkWorker
  /** Counts connections by address, for all of them. */
  readonly ipGate?: IpGate | undefined
}

const firstPause = 100 * millisecond
const longestPause = 30 * second
/** One that ran for so long is replaced at once, however many died before. */
const provenAfter = 1 * minute
/** A worker that says nothing for so long is not waited for. */
const answerTimeout = 5 * second

/** Resolves when all of them serve. @throws NightjarError why one does not, or `connect-failed` */
export async function startWorkers(options: WorkersOptions): Promise<Carrier> {
  const { log, clock } = options
  let { config } = options
  const metrics = createParentMetrics(config)
  const workers = new Set<WorkerHandle>()
  const replacing = new Set<Timer>()
  let crashes = 0
  let isStopping = false
  let turn = 0

  async function add(): Promise<void> {
    const worker = new WorkerHandle(options.fork(), options.ipGate)
    const since = clock.now()
    workers.add(worker)
    worker.onEnd(() => {
      workers.delete(worker)
      if (worker.isServing && !isStopping) replace(since)
    })
    await worker.start(config)
    if (isStopping) worker.stop({ seconds: 0, hurry: AbortSignal.abort() })
  }

  function replace(since: number): void {
    crashes = clock.now() - since >= provenAfter ? 1 : crashes + 1
    const pause = crashes === 1 ? 0 : Math.min(firstPause * 2 ** (crashes - 2), longestPause)
    metrics.onWorkerReplaced()
    log.error('a worker ended by itself and is replaced', { pause })
    const timer = clock.after(pause, () => {
      replacing.delete(timer)
      const began = clock.now()
      add().catch((error: unknown) => {
        log.error('a worker did not start', { error })
        if (!isStopping) replace(began)
      })
    })
    replacing.add(timer)
  }

  function hand(connection: Socket): void {
    const serving = [...workers].filter(({ isServing }) => isServing)
    const worker = serving[turn % serving.length]
    turn += 1
    if (worker === undefined) connection.resetAndDestroy()
    else worker.hand(connection)
  }

  // Paused: whoever gets it reads it from its first byte on.
  const front = createServer({ pauseOnConnect: true, noDelay: true, allowHalfOpen: true }, hand)

  async function killAll(): Promise<void> {
    isStopping = true
    for (const timer of replacing) timer.cancel()
    await Promise.all([...workers].map((worker) => worker.kill()))
  }

  try {
    await Promise.all(Array.from({ length: config.workers }, add))
    await new Promise<void>((resolve, reject) => {
      front.once('error', (cause) => reject(new NightjarError('connect-failed', { detail: 'cannot listen', cause })))
      front.listen({ host: config.listen.host, port: config.listen.port }, resolve)
    })
  } catch (error) {
    await killAll()
    throw error
  }

  /** Of all workers that answer; one that ends meanwhile has no say. */
  async function askAll<T>(ask: (worker: WorkerHandle) => Promise<T>): Promise<PromiseSettledResult<T>[]> {
    const inTime = (answer: Promise<T>) => within(clock, answerTimeout, answer, () => new NightjarError('timed-out'))
    return Promise.allSettled([...workers].map((worker) => inTime(ask(worker))))
  }

  async function requireAll(ask: (worker: WorkerHandle) => Promise<unknown>): Promise<void> {
    for (const result of await askAll(ask)) if (result.status === 'rejected') throw result.reason
  }

  function checks(): readonly Check[] {
    const serving = [...workers].filter(({ isServing }) => isServing)
    const ok = serving.length > 0
    const sentence = ok ? 'Workers serve.' : 'No worker serves: see the log for why they end.'
    return [{ name: 'workers', ok, sentence }, ...worstOf(serving.map((worker) => worker.checks))]
  }

  return {
    port: (front.address() as AddressInfo).port,
    checks,
    async read() {
      const parts = await askAll((worker) => worker.read())
      return sumOf([
        await metrics.serialise(),
        ...parts.flatMap((part) => (part.status === 'fulfilled' ? [part.value] : [])),
      ])
    },
    async reload(next) {
      await requireAll((worker) => worker.reload(next))
      // Those that are started from now on.
      config = next
    },
    reloadKeys: () => requireAll((worker) => worker.reloadKeys()),
    async stop(leave: Leave) {
      isStopping = true
      for (const timer of replacing) timer.cancel()
      await Promise.all([...workers].map((worker) => worker.stop(leave)))
      // Not waited for: Node counts the connections of workers that were killed as open for ever.
      front.close()
    },
  }
}

/** Each check once; where one worker has a problem, that is what is said. */
function worstOf(all: readonly (readonly Check[])[]): readonly Check[] {
  const byName = new Map<string, Check>()
  for (const check of all.flat()) if (byName.get(check.name)?.ok !== false) byName.set(check.name, check)
  return [...byName.values()]
}
