/** A worker as a child process: this program once more, with a channel to this one. */
import { fork } from 'node:child_process'
import type { Socket } from 'node:net'
import type { Order, Report } from './orders.ts'

/** The option of the command line that makes a process a worker. */
export const workerFlag = '--worker'

/** What the parent needs of a worker's process; tests have their own. */
export interface WorkerProcess {
  send(order: Order, connection?: Socket): void
  onReport(listener: (report: Report) => void): void
  /** Told once, however it ended. */
  onEnd(listener: () => void): void
  kill(): void
}

export type ForkWorker = () => WorkerProcess

export function forkWorker(program = process.argv[1] as string): WorkerProcess {
  // stdout belongs to the one line that the parent prints.
  const child = fork(program, [workerFlag], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  const ended: (() => void)[] = []
  /** On their way: of a worker that dies before it has taken them, Node tells nothing and closes none. */
  const handed = new Set<Socket>()
  let isOver = false
  const end = () => {
    if (isOver) return
    isOver = true
    for (const connection of handed) connection.destroy()
    handed.clear()
    for (const listener of ended) listener()
  }
  child.once('exit', end)
  child.once('error', end)
  return {
    send(order, connection) {
      // A channel that is gone is followed by the process's end.
      if (!child.connected) return void connection?.destroy()
      if (connection !== undefined) handed.add(connection)
      child.send(order, connection, (error) => {
        if (connection === undefined) return
        handed.delete(connection)
        if (error !== null) connection.destroy()
      })
    },
    onReport: (listener) => void child.on('message', (report) => listener(report as Report)),
    onEnd: (listener) => void ended.push(listener),
    kill: () => void child.kill('SIGKILL'),
  }
}
