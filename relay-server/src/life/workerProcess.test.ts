/** With a real process: what Node does with connections on their way to one that hangs is the point. */
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { forkWorker, type WorkerProcess } from './workerProcess.ts'

/** Stands still as soon as it is told anything. */
const hanging = "process.on('message', () => process.kill(process.pid, 'SIGSTOP')); process.send({ report: 'started' })"

let folder: string
let worker: WorkerProcess
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nightjar-worker-'))
  await writeFile(join(folder, 'worker.mjs'), hanging)
  worker = forkWorker(join(folder, 'worker.mjs'))
  await new Promise<void>((resolve) => worker.onReport(() => resolve()))
})
afterEach(async () => {
  worker.kill()
  await rm(folder, { recursive: true })
})

test('connections on their way to a worker that hangs end with it', async () => {
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    socket.on('error', () => {})
    worker.send({ order: 'link', address: undefined }, socket)
  })
  let handed = 0
  server.on('connection', () => {
    handed += 1
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  const clients = Array.from({ length: 5 }, () => connect(port, '127.0.0.1').on('error', () => {}))
  const closed = clients.map((client) => once(client.resume(), 'close'))
  await Promise.all(clients.map((client) => once(client, 'connect')))
  await expect.poll(() => handed).toBe(5)
  const ended = new Promise<void>((resolve) => worker.onEnd(resolve))
  worker.kill()
  await ended
  // The first two it may have taken, or were being given to it: the system ends those with it.
  await Promise.all(closed.slice(2))
  for (const client of clients) client.destroy()
  // Not waited for: Node counts connections that it handed over as open for ever.
  server.close()
})
