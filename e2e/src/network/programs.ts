/** Starts the built programs as a user would, waits for their ready line, and ends them. */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The folder of the built programs: this file is bundled into it, or stands in the sources beside it. */
export function distFolder(): string {
  let folder = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(folder, 'package-lock.json'))) {
    if (folder === dirname(folder)) throw new Error('no folder above has a package-lock.json')
    folder = dirname(folder)
  }
  return join(folder, 'dist')
}

export function programPath(
  name: 'nightjar' | 'nightjar-relay' | 'nightjar-load' | 'bench' | 'testing/nightjar-relay',
): string {
  return join(distFolder(), `${name}.js`)
}

export interface Running {
  readonly pid: number
  /** What the program said in its ready line. */
  readonly ready: Readonly<Record<string, unknown>>
  /** All it has printed so far, stdout and stderr. */
  output(): string
  signal(name: NodeJS.Signals): void
  /**
   * SIGTERM; a second one, at which nothing is waited for, after a second; SIGKILL if it does not end within five. Resolves
   * with the exit code.
   */
  stop(): Promise<number | null>
  /** Resolves with the exit code whenever it ends. */
  readonly ended: Promise<number | null>
}

const hurryAfter = 1000
const stopGrace = 5000
const readyTimeout = 30_000
const outputLimit = 16 * 1024 * 1024

/** Starts `node program args` and resolves once it has printed its ready line. */
export async function startProgram(
  program: string,
  args: readonly string[],
  options: { env?: Readonly<Record<string, string>>; command?: string } = {},
): Promise<Running> {
  const command = options.command ?? process.execPath
  const child = spawn(command, options.command === undefined ? [program, ...args] : args, {
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const running = watch(child)
  const ready = await untilReady(child, running)
  return { ...running, ready }
}

function watch(child: ChildProcess): Omit<Running, 'ready'> {
  let output = ''
  const keep = (bytes: Buffer) => {
    output = (output + bytes.toString('utf8')).slice(-outputLimit)
  }
  child.stdout?.on('data', keep)
  child.stderr?.on('data', keep)
  const ended = new Promise<number | null>((resolve) => {
    child.once('exit', (code) => resolve(code))
    child.once('error', () => resolve(null))
  })
  return {
    pid: child.pid ?? 0,
    output: () => output,
    signal: (name) => void child.kill(name),
    ended,
    async stop() {
      child.kill('SIGTERM')
      const timers = [
        setTimeout(() => child.kill('SIGTERM'), hurryAfter),
        setTimeout(() => child.kill('SIGKILL'), stopGrace),
      ]
      const code = await ended
      for (const timer of timers) clearTimeout(timer)
      return code
    },
  }
}

function untilReady(child: ChildProcess, running: Omit<Running, 'ready'>): Promise<Record<string, unknown>> {
  return new Promise((resolve, reject) => {
    const fail = (why: string) => {
      child.kill('SIGKILL')
      reject(new Error(`${why}:\n${running.output()}`))
    }
    const timer = setTimeout(() => fail('a program did not become ready'), readyTimeout)
    void running.ended.then((code) => {
      clearTimeout(timer)
      fail(`a program ended before it was ready (exit code ${code})`)
    })
    child.stdout?.on('data', () => {
      const line = running
        .output()
        .split('\n')
        .find((candidate) => candidate.startsWith('{"ready":true'))
      if (line === undefined) return
      clearTimeout(timer)
      resolve(JSON.parse(line) as Record<string, unknown>)
    })
  })
}

/** Runs a program to its end. @throws Error with its output where it fails, unless `mayFail` */
export async function runProgram(
  program: string,
  args: readonly string[],
  options: { env?: Readonly<Record<string, string>>; mayFail?: boolean } = {},
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [program, ...args], {
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (bytes: Buffer) => {
    stdout += bytes.toString('utf8')
  })
  child.stderr.on('data', (bytes: Buffer) => {
    stderr += bytes.toString('utf8')
  })
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('close', resolve)
    child.once('error', reject)
  })
  if (code !== 0 && options.mayFail !== true) {
    throw new Error(`${program} ${args[0] ?? ''} failed (exit code ${code}):\n${stdout}${stderr}`)
  }
  return { code, stdout, stderr }
}
