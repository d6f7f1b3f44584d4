/** A real Prometheus and its promtool: from the system's package, which scripts/bootstrap.mjs unpacks, or from PATH. */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { distFolder, freePorts, until } from '../../src/network/index.ts'

/** One series as a query gives it. */
export interface Series {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export interface Prometheus {
  /** The series that a PromQL expression has now. */
  query(expression: string): Promise<Series[]>
  stop(): Promise<void>
}

/** The folder with both programs, or undefined where there is none. */
export function findPrometheus(): string | undefined {
  const unpacked = join(dirname(distFolder()), '.build', 'prometheus', 'usr', 'bin')
  const folders = [unpacked, ...(process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '')]
  return folders.find((folder) => ['prometheus', 'promtool'].every((name) => existsSync(join(folder, name))))
}

/** Scrapes `/metrics` of 127.0.0.1 on each of `ports` every second. */
export async function startPrometheus(folder: string, ports: readonly number[]): Promise<Prometheus> {
  const data = await mkdtemp(join(tmpdir(), 'nightjar-prometheus-'))
  const [port] = await freePorts('127.0.0.1', 1)
  const config = join(data, 'prometheus.yml')
  const targets = ports.map((each) => `127.0.0.1:${each}`)
  // JSON is YAML too.
  await writeFile(
    config,
    JSON.stringify({
      global: { scrape_interval: '1s', scrape_timeout: '1s' },
      scrape_configs: [{ job_name: 'nightjar', static_configs: [{ targets }] }],
    }),
  )
  const child = spawn(
    join(folder, 'prometheus'),
    [
      `--config.file=${config}`,
      `--storage.tsdb.path=${join(data, 'tsdb')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--log.level=error',
    ],
    { stdio: ['ignore', 'inherit', 'inherit'] },
  )
  const ended = new Promise<void>((resolve, reject) => {
    child.once('exit', () => resolve())
    child.once('error', reject)
  })
  const base = `http://127.0.0.1:${port}`

  async function isReady(): Promise<boolean> {
    if (child.exitCode !== null) throw new Error(`Prometheus ended with ${child.exitCode}`)
    try {
      return (await fetch(`${base}/-/ready`)).ok
    } catch {
      // It does not listen yet.
      return false
    }
  }

  async function stop(): Promise<void> {
    child.kill('SIGTERM')
    await ended
    await rm(data, { recursive: true, force: true })
  }

  try {
    await until('Prometheus is ready', isReady)
  } catch (error) {
    await stop()
    throw error
  }
  return {
    stop,
    async query(expression) {
      const response = await fetch(`${base}/api/v1/query?query=${encodeURIComponent(expression)}`)
      const { status, data, error } = (await response.json()) as Answer
      if (status !== 'success' || data === undefined) throw new Error(`${expression}: ${error}`)
      return data.result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }))
    },
  }
}

interface Answer {
  readonly status: string
  readonly error?: string
  readonly data?: { readonly result: readonly { metric: Record<string, string>; value: readonly [number, string] }[] }
}

/** What `promtool check metrics` finds wrong in `text`; empty where nothing is. */
export async function lintMetrics(folder: string, text: string): Promise<string> {
  const child = spawn(join(folder, 'promtool'), ['check', 'metrics'], { stdio: ['pipe', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (bytes: Buffer) => {
      output += bytes.toString('utf8')
    })
  }
  child.stdin.end(text)
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('close', resolve)
    child.once('error', reject)
  })
  return code === 0 || output !== '' ? output : `promtool ended with ${code}`
}
