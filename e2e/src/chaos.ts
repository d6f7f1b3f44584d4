/** `npm run chaos`: faults under load, or hostile clients beside ordinary ones, on a network of this machine only (docs/chaos.md). */
import { mkdirSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { dirname, join } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import { type HostileReport, runHostile } from './chaos/hostile/run.ts'
import type { ChaosReport } from './chaos/report.ts'
import { runChaos } from './chaos/run.ts'
import { distFolder } from './network/programs.ts'

interface Options {
  readonly minutes: number
  readonly seed: number
  readonly clients: number
  readonly rate: number
  readonly inFlight: number
  readonly hostile?: true
  readonly json?: true
}

/** A machine of two cores carries a tenth of what the issue asks for (500 clients, 2,000 in flight). */
const small = availableParallelism() < 8

const program = new Command('npm run chaos --')
  .description('Faults at random under load: what must hold is checked, what takes time is measured.')
  .option('--minutes <n>', 'how long faults go on', positive, 5)
  .option('--seed <n>', 'the same seed gives the same faults', positive, Math.ceil(Math.random() * 1e6))
  .option('--clients <n>', 'independent clients', positive, small ? 60 : 500)
  .option('--rate <n>', 'requests begun a second', positive, small ? 60 : 1000)
  .option('--in-flight <n>', 'requests under way at once, at most', positive, 2000)
  .option('--hostile', 'twenty hostile behaviours beside three ordinary clients, instead of faults')
  .option('--json', 'only the JSON line, without words')
  .action(main)

async function main(options: Options): Promise<void> {
  const onStep = (step: string) => void process.stderr.write(`· ${step}\n`)
  // What was started is ended, and the disk unmounted, also when the run is cut short.
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort())
  const report = options.hostile
    ? await runHostile({ stop: stop.signal, onStep })
    : await runChaos({ ...options, mostInFlight: options.inFlight, stop: stop.signal, onStep })
  const file = join(dirname(distFolder()), '.build', 'reports', options.hostile ? 'hostile.json' : 'chaos.json')
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, `${JSON.stringify(report, undefined, 2)}\n`)
  if (!options.json) process.stdout.write('behaviours' in report ? describeHostile(report) : describeChaos(report))
  process.stdout.write(`${JSON.stringify(report)}\n`)
  process.exitCode = report.ok ? 0 : 1
}

function describeChaos({ requests, transactions, start, faults, memory, broken, seed, notDone }: ChaosReport): string {
  const failed = Object.entries(requests.failed).map(([code, count]) => `${count} ${code}`)
  const late = faults.filter(({ backAfterS }) => backAfterS === null)
  // Those that were never ended have lived longest.
  const [oldest] = [...memory].filter(({ name }) => name !== 'nightjar-load').sort((a, b) => b.seconds - a.seconds)
  return [
    '',
    `${faults.length} faults (seed ${seed}); ${requests.asked} requests = ${requests.answered} answers + ${failed.join(' + ') || 'no errors'}; ${requests.lost} lost, ${requests.wrong} wrong`,
    `${transactions.sent} transactions: ${transactions.accepted} accepted, ${transactions.twice} twice, ${transactions.missing} missing; submitted at most ${transactions.submitted} times`,
    `p99 at the start ${start.p99Ms} ms; back within twice that after ${faults.length - late.length} of ${faults.length} faults within 30 s${late.map(({ name }) => `; not after: ${name}`).join('')}`,
    oldest === undefined
      ? 'too short for a slope of memory'
      : `memory: ${oldest.name} went from ${oldest.firstMb} to ${oldest.lastMb} MB in ${oldest.seconds} s, of which ${oldest.gainedMb} in the second half`,
    ...(notDone.length > 0 ? [`not done: ${notDone.join(', ')}`] : []),
    ...broken.map((words) => `BROKEN: ${words}`),
    broken.length === 0 ? 'All that must hold did.' : '',
    '',
  ].join('\n')
}

function describeHostile({ behaviours, quiet, broken }: HostileReport): string {
  const rows = behaviours.map(
    ({ name, outcome, p99Ms, ratio }) =>
      `  ${name.padEnd(36)}${`${ratio} ×`.padStart(6)}${`${p99Ms} ms`.padStart(9)}  ${outcome}`,
  )
  return [
    '',
    `Others' p99 when nobody means harm: ${quiet.p99Ms} ms`,
    ...rows,
    ...broken.map((words) => `BROKEN: ${words}`),
    '',
  ].join('\n')
}

function positive(text: string): number {
  const number = Number(text)
  if (!(number > 0)) throw new InvalidArgumentError('must be a positive number')
  return number
}

program.parseAsync().then(
  () => process.exit(),
  (error: unknown) => {
    process.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n`)
    process.exit(1)
  },
)
