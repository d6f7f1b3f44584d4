/** How a process tells the world that it serves, that it is asked to stop, and that it failed. */
import { writeSync } from 'node:fs'
import { asNightjarError, NightjarError } from '@nightjar/shared/errors'
import { codeOf, describeError, type LogLevel } from '../log/index.ts'

/** What these functions need of `process`; tests hand in their own. */
export interface ProcessHost {
  print(text: string): void
  printError(text: string): void
  exit(code: number): never
  on(signal: NodeJS.Signals, listener: () => void): void
  off(signal: NodeJS.Signals, listener: () => void): void
}

export const nodeProcess: ProcessHost = {
  print: (text) => void process.stdout.write(text),
  printError(text) {
    try {
      // Synchronous, as the process may exit right after.
      writeSync(2, text)
    } catch {
      // stderr is closed or full: nobody is left to be told.
    }
  },
  exit: (code) => process.exit(code),
  on: (signal, listener) => void process.on(signal, listener),
  off: (signal, listener) => void process.off(signal, listener),
}

/** Prints the one line that a process writes to stdout: it serves now, with these ports and the like. */
export function announceReady(
  facts: Readonly<Record<string, unknown>> & { readonly ready?: never },
  host: Pick<ProcessHost, 'print'> = nodeProcess,
): void {
  host.print(`${JSON.stringify({ ready: true, ...facts })}\n`)
}

const stopSignals = ['SIGINT', 'SIGTERM'] as const

/**
 * Calls `handler` at the first SIGINT or SIGTERM. The second aborts `hurry`, where there is one, for a stop that takes its
 * time; the next exits at once with code 1, for a stop that hangs.
 * A handler that fails ends the process through `failWith`.
 * @returns a function that stops listening
 */
export function onStopSignal(
  handler: (signal: NodeJS.Signals) => void | Promise<void>,
  host: Omit<ProcessHost, 'print'> = nodeProcess,
  hurry?: AbortController,
): () => void {
  let stopping = false
  const runStop = async (signal: NodeJS.Signals) => {
    try {
      await handler(signal)
    } catch (error) {
      failWith(error, { host })
    }
  }
  const listeners = stopSignals.map((signal) => {
    const listener = () => {
      if (stopping && hurry?.signal.aborted === false) return hurry.abort()
      if (stopping) host.exit(1)
      stopping = true
      void runStop(signal)
    }
    host.on(signal, listener)
    return { signal, listener }
  })
  return () => {
    for (const { signal, listener } of listeners) host.off(signal, listener)
  }
}

/**
 * Prints `error: <sentence> (<detail>) [<code>]` on stderr and exits with 1. At level `debug` the stack follows.
 * Of errors that are not ours only a code is printed, as their words may hold addresses.
 */
export function failWith(
  error: unknown,
  options: { level?: LogLevel; host?: Pick<ProcessHost, 'printError' | 'exit'> } = {},
): never {
  const host = options.host ?? nodeProcess
  const known = asNightjarError(error)
  const foreignCode = error instanceof Error && !(error instanceof NightjarError) ? codeOf(error) : undefined
  const hint = foreignCode === undefined ? '' : ` (${foreignCode})`
  host.printError(`error: ${printable(known.message)}${hint} [${known.code}]\n`)
  const { stack } = describeError(error)
  if (options.level === 'debug' && stack !== undefined) host.printError(`${printable(stack)}\n`)
  return host.exit(1)
}

/** Details may quote a hostile file's keys: nothing in them may steer the terminal. */
function printable(text: string): string {
  return text.replace(/[^\P{C}\n]/gu, '?')
}
