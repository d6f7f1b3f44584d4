/**
 * What a chaos run needs inside a relay, loaded before the unchanged program (NODE_OPTIONS): a clock that can be made to
 * jump, and a count of the timers that are armed. Both at SIGUSR2, through files named after the process:
 *
 *     FOLDER/PID.clock    milliseconds that Date.now is off from now on; none where there is no file
 *     FOLDER/PID.timers   written: how many timers keep the process alive
 *
 * Date.now only, as libfaketime would do more but is not there: monotonic time goes on, as it does where a clock is set.
 */
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { until } from '../network/index.ts'

/** The environment that puts it there; workers inherit it. */
export function insideEnvironment(folder: string): Readonly<Record<string, string>> {
  const code = `
    import { readFileSync, writeFileSync } from 'node:fs'
    const file = ${JSON.stringify(folder)} + '/' + process.pid
    const now = Date.now
    let off = 0
    Date.now = () => now() + off
    process.on('SIGUSR2', () => {
      try { off = Number(readFileSync(file + '.clock', 'utf8')) } catch { off = 0 }
      const timers = process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
      writeFileSync(file + '.timers', String(timers) + '\\n')
    })`
  return { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(code)}` }
}

/** Sets the clock of a process off by so many milliseconds; 0 = right again. */
export async function setClock(folder: string, pid: number, off: number): Promise<void> {
  await writeFile(join(folder, `${pid}.clock`), String(off))
  await askInside(folder, pid)
}

/** How many timers keep the process alive now. */
export function countTimers(folder: string, pid: number): Promise<number> {
  return askInside(folder, pid)
}

async function askInside(folder: string, pid: number): Promise<number> {
  const file = join(folder, `${pid}.timers`)
  await rm(file, { force: true })
  process.kill(pid, 'SIGUSR2')
  let text = ''
  await until('a relay answers from inside', async () => {
    text = await readFile(file, 'utf8').catch(() => '')
    return text.endsWith('\n')
  })
  return Number(text)
}
