/** `nightjar-load steady` as a chaos run drives it: started, watched second by second, ended, and its sum. */
import { programPath, type Relays, type Running, startProgram } from '../network/index.ts'

/** One second of the driver (native-host/src/load/steady.ts). */
export interface Window {
  readonly at: number
  readonly asked: number
  readonly answered: number
  readonly wrong: number
  readonly failed: Readonly<Record<string, number>>
  readonly held: number
  readonly inFlight: number
  readonly ms: readonly number[]
  readonly transactions: readonly (readonly [number, string])[]
}

export interface Sum {
  readonly clients: number
  readonly asked: number
  readonly answered: number
  readonly wrong: number
  readonly failed: Readonly<Record<string, number>>
  readonly held: number
  readonly lost: number
}

export interface LoadPlan {
  readonly relays: Pick<Relays, 'trust' | 'documentFile'>
  readonly clients: number
  readonly rate: number
  readonly mostInFlight: number
  readonly chain: number
  readonly echo: string
  /** Signed transactions, one per line. */
  readonly transactionsFile?: string
}

export interface SteadyDriver {
  readonly process: Running
  /** All seconds so far. */
  windows(): readonly Window[]
  /** Those whose end lies between two times in milliseconds since the Unix epoch. */
  between(from: number, to: number): readonly Window[]
  /** Ends the asking, waits for what is in flight, and tells the sum. */
  finish(): Promise<Sum>
}

export async function startSteadyLoad(plan: LoadPlan): Promise<SteadyDriver> {
  const { relays, clients, rate, mostInFlight, chain, echo, transactionsFile } = plan
  const process = await startProgram(programPath('nightjar-load'), [
    ...['steady', '--network', relays.documentFile, '--threshold', String(relays.trust.threshold)],
    ...['--clients', String(clients), '--rate', String(rate), '--most-in-flight', String(mostInFlight)],
    ...['--chain', String(chain), '--echo', echo],
    ...(transactionsFile === undefined ? [] : ['--transactions', transactionsFile]),
    ...['--trust', ...relays.trust.keys],
  ])
  const windows: Window[] = []
  let read = 0

  function readWindows(): readonly Window[] {
    const output = process.output()
    for (let end = output.indexOf('\n', read); end >= 0; end = output.indexOf('\n', read)) {
      const line = output.slice(read, end)
      read = end + 1
      if (line.startsWith('{"at":')) windows.push(JSON.parse(line) as Window)
    }
    return windows
  }

  return {
    process,
    windows: readWindows,
    between: (from, to) => readWindows().filter(({ at }) => at > from && at <= to),
    async finish() {
      process.signal('SIGTERM')
      const code = await process.ended
      readWindows()
      const last = process.output().trim().split('\n').at(-1) ?? ''
      if (code !== 0 || !last.startsWith('{"clients":')) throw new Error(`the driver failed (${code}):\n${tail(last)}`)
      return JSON.parse(last) as Sum
    },
  }
}

/** The value below which `share` of all answers of these seconds lie, in milliseconds; undefined without an answer. */
export function quantileOf(windows: readonly Window[], share: number): number | undefined {
  const sorted = windows.flatMap(({ ms }) => ms).sort((a, b) => a - b)
  return sorted[Math.min(Math.floor(sorted.length * share), sorted.length - 1)]
}

/** Counts by key, added up. */
export function addUp(counts: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const sum: Record<string, number> = {}
  for (const each of counts) for (const [key, count] of Object.entries(each)) sum[key] = (sum[key] ?? 0) + count
  return sum
}

function tail(text: string): string {
  return text.slice(-2000)
}
