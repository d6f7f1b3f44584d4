/** What each process of a relay says of itself: that it is there, its memory and files, and how late its event loop is. */
import { readdirSync, readFileSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { millisecond, second } from '@nightjar/shared/runtime'
import type { MetricSet } from './metricSet.ts'

const mebibyte = 1024 * 1024
/** How often the loop is looked at; a delay below it is not seen. */
const resolution = 20 * millisecond
const nanosecond = millisecond / 1e6

/** Ends the looking at the event loop. */
export type Stop = () => void

export function measureProcess(set: MetricSet, version: string): Stop {
  const lag = monitorEventLoopDelay({ resolution })
  lag.enable()

  set.gauge({
    name: 'nightjar_info',
    help: 'Always 1; the label is the version that runs.',
    labels: ['version'],
    across: 'max',
    read: () => [[{ version }, 1]],
  })
  set.gauge({ name: 'nightjar_workers', help: 'Processes that carry cells.', read: () => 1 })
  // To the byte, memory would tell of each connection that comes.
  set.gauge({
    name: 'nightjar_resident_memory_bytes',
    help: 'Memory of the system that all workers hold.',
    step: mebibyte,
    read: () => process.memoryUsage.rss(),
  })
  set.gauge({
    name: 'nightjar_heap_bytes',
    help: 'Of it, what JavaScript objects take.',
    step: mebibyte,
    read: () => process.memoryUsage().heapUsed,
  })
  const allowed = allowedFiles()
  set.gauge({
    name: 'nightjar_open_files_ratio',
    help: 'The share that is open of the files and connections that the system lets a process have, of the fullest worker.',
    step: 0.05,
    across: 'max',
    read: () => (allowed === undefined ? [] : [[{}, (openFiles() ?? allowed) / allowed]]),
  })
  set.gauge({
    name: 'nightjar_event_loop_lag_seconds',
    help: 'How late the event loop was since the last snapshot, of the worker where it was latest.',
    labels: ['statistic'],
    step: 0.001,
    across: 'max',
    read: () => {
      const seconds = (nanoseconds: number) => Math.max(nanoseconds * nanosecond - resolution, 0) / second
      const values = [
        [{ statistic: 'mean' }, lag.count === 0 ? 0 : seconds(lag.mean)],
        [{ statistic: 'p99' }, seconds(lag.percentile(99))],
        [{ statistic: 'max' }, seconds(lag.max)],
      ] as const
      lag.reset()
      return values
    },
  })
  return () => lag.disable()
}

/** Of this process; undefined where the system does not say, or allows any number. */
function allowedFiles(): number | undefined {
  try {
    const soft = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]
    return soft === undefined ? undefined : Number(soft)
  } catch {
    // No Linux.
    return undefined
  }
}

/** Undefined where not one more can be opened. */
function openFiles(): number | undefined {
  try {
    // One of them is the folder itself, while it is read.
    return readdirSync('/proc/self/fd').length - 1
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EMFILE') return undefined
    throw error
  }
}
