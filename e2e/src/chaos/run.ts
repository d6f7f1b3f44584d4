/**
 * One chaos run: a quiet start, faults one after the other in an order drawn from the seed, an end, and the bill (report.ts).
 */
import { join } from 'node:path'
import { type LocalRelay, until } from '../network/index.ts'
import { type Fault, faults } from './faults.ts'
import { addUp, quantileOf, type SteadyDriver, type Sum, startSteadyLoad, type Window } from './load.ts'
import { MemorySamples } from './processes.ts'
import { type Random, seededRandom } from './random.ts'
import { type ChaosReport, type FaultReport, findBroken } from './report.ts'
import { type AtRest, comeToRest, restOf } from './rest.ts'
import { chaosChain, type Stage, setStage } from './stage.ts'
import { checkTransfers, makeTransfers, Submissions, type Transfer } from './transactions.ts'

export interface ChaosOptions {
  readonly minutes: number
  readonly seed: number
  readonly clients: number
  readonly rate: number
  readonly mostInFlight: number
  /** Ends the faults early; the bill is made all the same. */
  readonly stop?: AbortSignal
  onStep(step: string): void
}

const second = 1000
const minute = 60 * second
const backWithin = 30 * second
const samplesForSlope = 30
/** A relay's drain_timeout is 30 s. */
const drainWithin = 40 * second

export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const { onStep } = options
  const random = seededRandom(options.seed)
  const stage = await setStage(onStep)
  try {
    const before = await restOf(stage)
    const transfersFile = join(stage.folder, 'transactions')
    const transfers = await makeTransfers(stage.node, chaosChain, transfersFor(options), transfersFile)
    onStep(`bringing up ${options.clients} clients`)
    const load = await startSteadyLoad({
      ...options,
      relays: stage.relays,
      chain: chaosChain,
      echo: stage.echo,
      transactionsFile: transfersFile,
    })
    const memory = new MemorySamples()
    const submissions = new Submissions(transfers)
    const stopSampling = sampleEverySecond(stage, load, memory, submissions)
    try {
      const start = await quietStart(load, options, onStep)
      const done = await faultAfterFault({
        stage,
        load,
        random,
        start,
        until: endOf(options),
        stop: options.stop,
        onStep,
      })
      onStep('no more questions: waiting for what is in flight')
      const sum = await load.finish()
      stopSampling()
      submissions.take(stage.providers)
      return await settle({ options, stage, load, sum, start, done, transfers, submissions, memory, before })
    } finally {
      stopSampling()
      load.process.signal('SIGKILL')
    }
  } finally {
    onStep('stopping')
    await stage.stop()
  }
}

const quietFor = ({ minutes }: ChaosOptions) => Math.min(30 * second, (minutes * minute) / 8)
const endOf = (options: ChaosOptions) => Date.now() + options.minutes * minute
const transfersFor = ({ minutes, rate }: ChaosOptions) => Math.min(5000, Math.ceil((minutes * 60 * rate) / 12))

interface Quiet {
  /** When the load began, in milliseconds since the Unix epoch. */
  readonly begun: number
  readonly p50Ms: number
  readonly p99Ms: number
}

async function quietStart(load: SteadyDriver, options: ChaosOptions, onStep: (step: string) => void): Promise<Quiet> {
  const begun = Date.now()
  onStep(`asking ${options.rate} a second; quiet for a while`)
  // The first seconds build branches, which no later ones do all at once.
  const warm = begun + quietFor(options) / 3
  const end = begun + quietFor(options)
  await until('the quiet start is over', () => Date.now() >= end, minute)
  const windows = load.between(warm, end)
  const quantile = (share: number) => quantileOf(windows, share) ?? Number.POSITIVE_INFINITY
  return { begun, p50Ms: quantile(0.5), p99Ms: quantile(0.99) }
}

interface Course {
  readonly stage: Stage
  readonly load: SteadyDriver
  readonly random: Random
  readonly start: Quiet
  /** No fault begins after this. */
  readonly until: number
  readonly stop: AbortSignal | undefined
  onStep(step: string): void
}

/** Each kind once, in an order by chance, and then again, until the time is over. */
async function faultAfterFault(course: Course): Promise<FaultReport[]> {
  const { random, stage } = course
  const possible = faults.filter((fault) => stage.disk !== undefined || !fault.name.startsWith('disk'))
  const reports: FaultReport[] = []
  let deck: Fault[] = []
  while (Date.now() < course.until && !course.stop?.aborted) {
    if (deck.length === 0) deck = random.shuffled(possible)
    const report = await doOne(deck.pop() as Fault, course)
    reports.push(report)
    course.onStep(describe(report))
  }
  return reports
}

async function doOne(fault: Fault, { stage, load, random, start }: Course): Promise<FaultReport> {
  const begun = Date.now()
  const { victim, undo } = await fault.begin(stage, random)
  const heldUntil = begun + random.between(1, 3) * second
  await until('the fault was held', () => Date.now() >= heldUntil, minute)
  const complaint = await undo()
  const ended = Date.now()
  const limit = Math.max(2 * start.p99Ms, 50)
  const isBack = () => backAt(load.between(ended, Date.now()), limit)
  await until('p99 is back', () => isBack() !== undefined || Date.now() > ended + backWithin, 2 * backWithin)
  const back = isBack()
  const during = load.between(begun, back ?? Date.now())
  return {
    name: fault.name,
    victim,
    atS: seconds(begun - start.begun),
    heldS: seconds(ended - begun),
    p99Ms: quantileOf(during, 0.99) ?? null,
    failed: addUp(during.map(({ failed }) => failed)),
    wrong: during.reduce((sum, { wrong }) => sum + wrong, 0),
    backAfterS: back === undefined ? null : seconds(back - ended),
    ...(complaint === undefined ? {} : { complaint }),
  }
}

/** The end of the first second, of two after each other, whose answers came within `limit`. */
function backAt(windows: readonly Window[], limit: number): number | undefined {
  const good = windows.map((window) => (quantileOf([window], 0.99) ?? Number.POSITIVE_INFINITY) <= limit)
  return windows.find((_, index) => good[index] && good[index + 1])?.at
}

interface Bill {
  readonly options: ChaosOptions
  readonly stage: Stage
  readonly load: SteadyDriver
  readonly sum: Sum
  readonly start: Quiet
  readonly done: readonly FaultReport[]
  readonly transfers: readonly Transfer[]
  readonly submissions: Submissions
  readonly memory: MemorySamples
  readonly before: ReadonlyMap<LocalRelay, AtRest>
}

async function settle(bill: Bill): Promise<ChaosReport> {
  const { options, stage, load, sum, start, done, transfers, before } = bill
  const outcomes = new Map(load.windows().flatMap(({ transactions }) => transactions))
  const accepted = await checkTransfers(stage.node, transfers, outcomes)
  const transactions = { ...accepted, submitted: bill.submissions.most }
  options.onStep('waiting for descriptors and timers to go')
  const rest = await comeToRest(stage, before)
  const memory = bill.memory.slopes(samplesForSlope)
  const drains = await endAll(stage)
  const report = {
    seed: options.seed,
    minutes: options.minutes,
    requests: sum,
    mostInFlight: Math.max(...load.windows().map(({ inFlight }) => inFlight)),
    transactions,
    start: { p50Ms: start.p50Ms, p99Ms: start.p99Ms },
    faults: done,
    notDone: faults.filter(({ name }) => done.every((each) => each.name !== name)).map(({ name }) => name),
    memory,
    rest,
  }
  const broken = [...findBroken(report), ...drains]
  return { ok: broken.length === 0, broken, ...report }
}

/** Ends every relay as an operator would; what does not end in time says so, and is killed with the stage. */
async function endAll({ relays }: Stage): Promise<string[]> {
  for (const { process } of relays.all) process.signal('SIGTERM')
  const outcomes = await Promise.all(
    relays.all.map(async ({ name, process }) => {
      const code = await Promise.race([process.ended, pause(drainWithin)])
      if (code === 0) return []
      const last = process.output().trim().split('\n').at(-1)
      return [
        `${name} ${code === undefined ? 'did not end' : `ended with ${code}`} after SIGTERM; it said last: ${last}`,
      ]
    }),
  )
  return outcomes.flat()
}

function pause(delay: number): Promise<undefined> {
  return new Promise((resolve) => setTimeout(resolve, delay, undefined).unref())
}

function sampleEverySecond(
  stage: Stage,
  load: SteadyDriver,
  memory: MemorySamples,
  submissions: Submissions,
): () => void {
  const take = async () => {
    submissions.take(stage.providers)
    const processes = [{ name: 'nightjar-load', pid: load.process.pid }]
    for (const relay of stage.relays.all) {
      for (const pid of await stage.pidsOf(relay)) processes.push({ name: relay.name, pid })
    }
    await memory.take(processes)
  }
  const timer = setInterval(() => void take(), second)
  return () => clearInterval(timer)
}

function describe({ name, victim, atS, p99Ms, backAfterS, failed, wrong, complaint }: FaultReport): string {
  const back = backAfterS === null ? 'NOT back within 30 s' : `back after ${backAfterS} s`
  const errors = Object.entries(failed).map(([code, count]) => `${count} ${code}`)
  const words = [`p99 ${p99Ms ?? '–'} ms`, back, ...errors, ...(wrong > 0 ? [`${wrong} wrong`] : [])]
  return `${atS} s: ${name} (${victim}): ${words.join(', ')}${complaint === undefined ? '' : ` – ${complaint}`}`
}

function seconds(ms: number): number {
  return Math.round(ms / 100) / 10
}
