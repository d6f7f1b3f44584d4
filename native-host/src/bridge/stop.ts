/** `nightjar stop`: ends the daemon, whoever started it, and waits until it has ended. */
import { NightjarError } from '@nightjar/shared/errors'
import { type Clock, second, within } from '@nightjar/shared/runtime'
import { fileError, readText } from '@nightjar/shared-node/config'
import { claimSocket, type Places } from '../config.ts'
import { connectTo } from './connect.ts'

/** A daemon says goodbye to its relays first. */
const stopTimeout = 10 * second

/** @returns false where none runs. @throws NightjarError `timed-out`, or `file-unusable` where its number is not known */
export async function stopDaemon(places: Places, clock: Clock): Promise<boolean> {
  const socket = await connectTo(await claimSocket(places))
  if (socket === undefined) return false
  // The socket tells that it runs, and when it has ended; the file tells which process it is.
  const ended = new Promise<void>((resolve) => {
    socket.once('error', () => resolve())
    socket.once('close', () => resolve())
    socket.resume()
  })
  try {
    terminate(await readPid(places.pid), places.pid)
    await within(clock, stopTimeout, ended, () => new NightjarError('timed-out', { detail: 'the daemon does not end' }))
  } finally {
    socket.destroy()
  }
  return true
}

async function readPid(file: string): Promise<number> {
  const pid = Number(await readText(file, 32))
  if (Number.isSafeInteger(pid) && pid > 1) return pid
  throw new NightjarError('file-unusable', { detail: `${file} holds no process number` })
}

function terminate(pid: number, file: string): void {
  try {
    process.kill(pid, 'SIGTERM')
  } catch (cause) {
    throw fileError(file, cause)
  }
}
