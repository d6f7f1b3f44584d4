/**
 * `relay-load`: one relay process with many clients, over wss, beside the plain echo server with as many sockets.
 *
 * Cells per second: 500 clients with a circuit, 32 of which send in bursts; the same driver measures both in turn.
 *
 * Memory: RSS of both processes from /proc, as the difference between a few idle clients and many, so that what a process
 * takes once (code, heap, tables) counts for neither. Before each look the process collects its garbage, told so through
 * Node's inspector; both run with the same flags. Each repeat has fresh processes.
 */
import { readFileSync } from 'node:fs'
import { loadavg } from 'node:os'
import { programPath, type Running, startProgram } from '@nightjar/e2e/network'
import { WebSocket } from 'ws'
import { drive, type Pair, type RelayStage, setRelayStage } from './relayStage.ts'
import { median } from './statistics.ts'

const clients = 500
const senders = 32
const fewIdle = 100
const moreIdle = 800
const repeats = 3
/** An inspector on a port of its own choice. */
const env = { NODE_OPTIONS: '--inspect=127.0.0.1:0' }

export async function benchRelayLoad(report: (step: string) => void): Promise<Record<string, number>> {
  const stage = await setRelayStage('pinned')
  try {
    const idle = await measureIdle(stage, report)
    const speed = await measureSpeed(stage, report)
    return {
      cellsPerS: speed.relay,
      limitCellsPerS: speed.limit,
      clients,
      rssPerIdleClientBytes: idle.relay,
      bareRssPerIdleClientBytes: idle.echo,
    }
  } finally {
    await stage.close()
  }
}

async function measureSpeed(
  stage: RelayStage,
  report: (step: string) => void,
): Promise<{ relay: number; limit: number }> {
  const pair = await stage.startPair()
  const crowd = ['--clients', String(clients), '--senders', String(senders)]
  const results = { relay: [] as number[], limit: [] as number[] }
  try {
    for (let repeat = 0; repeat < repeats; repeat++) {
      const load = loadavg()[0]?.toFixed(1)
      const limit = await drive(['echo-bursts', '--url', pair.echoUrl, ...crowd])
      const relay = await drive(['relay-bursts', ...stage.sinkArgs, ...crowd])
      report(`speed ${repeat + 1} of ${repeats}: ${Math.round(relay)} of ${Math.round(limit)} cells/s (load ${load})`)
      results.limit.push(limit)
      results.relay.push(relay)
    }
    return { relay: median(results.relay), limit: median(results.limit) }
  } finally {
    await pair.stop()
  }
}

async function measureIdle(
  stage: RelayStage,
  report: (step: string) => void,
): Promise<{ relay: number; echo: number }> {
  const results = { relay: [] as number[], echo: [] as number[] }
  for (let repeat = 0; repeat < repeats; repeat++) {
    const pair: Pair = await stage.startPair(env)
    try {
      const echo = await bytesPerIdle(pair.echo, ['echo-idle', '--url', pair.echoUrl])
      const relay = await bytesPerIdle(pair.relay, ['relay-idle', ...stage.relayArgs])
      report(`memory ${repeat + 1} of ${repeats}: ${Math.round(relay)} beside ${Math.round(echo)} bytes per client`)
      results.echo.push(echo)
      results.relay.push(relay)
    } finally {
      await pair.stop()
    }
  }
  return { relay: median(results.relay), echo: median(results.echo) }
}

async function bytesPerIdle(server: Running, driverArgs: readonly string[]): Promise<number> {
  const open = (count: number) =>
    startProgram(programPath('nightjar-load'), [...driverArgs, '--clients', String(count)])
  const few = await open(fewIdle)
  const before = await residentBytes(server)
  const more = await open(moreIdle)
  const after = await residentBytes(server)
  await Promise.all([few.stop(), more.stop()])
  return (after - before) / moreIdle
}

async function residentBytes(server: Running): Promise<number> {
  await collectGarbage(server)
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8')) ?? []
  return Number(kilobytes) * 1024
}

async function collectGarbage(server: Running): Promise<void> {
  const [url] = /ws:\/\/127\.0\.0\.1:\d+\/[\w-]+/.exec(server.output()) ?? []
  if (url === undefined) throw new Error(`no inspector:\n${server.output()}`)
  const inspector = new WebSocket(url)
  await new Promise<void>((resolve, reject) => {
    inspector.once('open', () => inspector.send(JSON.stringify({ id: 1, method: 'HeapProfiler.collectGarbage' })))
    inspector.once('message', () => resolve())
    inspector.once('error', reject)
  })
  inspector.close()
}
