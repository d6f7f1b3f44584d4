/** What processes take of the machine, read from /proc (Linux): memory, descriptors, children; and how memory develops. */
import { readdir, readFile } from 'node:fs/promises'

const megabyte = 1024 * 1024
const pageSize = 4096

/** Resident memory in megabytes; undefined where there is no such process. */
export async function residentOf(pid: number): Promise<number | undefined> {
  const text = await readFile(`/proc/${pid}/statm`, 'utf8').catch(() => undefined)
  return text === undefined ? undefined : (Number(text.split(' ')[1]) * pageSize) / megabyte
}

/** How many descriptors a process has open; 0 where there is no such process. */
export async function descriptorsOf(pid: number): Promise<number> {
  const names = await readdir(`/proc/${pid}/fd`).catch(() => [])
  return names.length
}

/** The processes that `pid` started and that still run: a relay's workers. */
export async function childrenOf(pid: number): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '')
  return text.split(' ').filter(Boolean).map(Number)
}

export interface Slope {
  readonly name: string
  readonly pid: number
  readonly seconds: number
  readonly firstMb: number
  readonly lastMb: number
  readonly highestMb: number
  /** What the straight line through the second half of the samples rises by (least squares); the first half is warming up. */
  readonly gainedMb: number
}

/** Memory over time, by process. A process that is started again begins anew. */
export class MemorySamples {
  readonly #samples = new Map<number, { name: string; points: [number, number][] }>()

  async take(processes: readonly { name: string; pid: number }[]): Promise<void> {
    for (const { name, pid } of processes) {
      const mb = await residentOf(pid)
      if (mb === undefined) continue
      const known = this.#samples.get(pid) ?? { name, points: [] }
      known.points.push([performance.now() / 1000, mb])
      this.#samples.set(pid, known)
    }
  }

  /** Of all processes that were there for `least` samples. */
  slopes(least: number): Slope[] {
    return [...this.#samples]
      .filter(([, { points }]) => points.length >= least)
      .map(([pid, { name, points }]) => {
        const all = points.map(([, mb]) => mb)
        const [begin, end] = [points[0]?.[0] ?? 0, points.at(-1)?.[0] ?? 0]
        const late = points.slice(Math.floor(points.length / 2))
        return {
          name,
          pid,
          seconds: Math.round(end - begin),
          firstMb: round(all[0] ?? 0),
          lastMb: round(all.at(-1) ?? 0),
          highestMb: round(Math.max(...all)),
          gainedMb: round(slopeOf(late) * (end - (late[0]?.[0] ?? end))),
        }
      })
  }
}

/** Least squares: the slope of the straight line through the points; 0 for fewer than two. */
export function slopeOf(points: readonly (readonly [number, number])[]): number {
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
  const [meanX, meanY] = [mean(points.map(([x]) => x)), mean(points.map(([, y]) => y))]
  const spread = points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0)
  const shared = points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0)
  return spread === 0 || points.length < 2 ? 0 : shared / spread
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}
