/**
 * Cells through one relay process from many clients, of which some send in bursts and the others only have their link
 * and circuit. A sender sends a burst, waits until all of it has arrived behind the relay, and sends the next.
 *
 * The same driver measures the reference, the plain echo of cells.ts with as many sockets.
 */
import { cellSize } from '@nightjar/shared/cell'
import { limits } from '@nightjar/shared/limits'
import type { WebSocket } from 'ws'
import { type CellsResult, measureRounds, type RelayCells, roundCells } from './cells.ts'
import { openClients, openSockets, type RelayClient } from './clients.ts'
import { batchCells, Counter, sealBatches, untilLost } from './rawLink.ts'
import { listenAsSink } from './sink.ts'

/** A quarter of W: what 32 senders have under way together is then as much as the one client of cells.ts has. */
const burstMessages = limits.branchWindow / 4 / batchCells

export interface Crowd {
  readonly clients: number
  readonly senders: number
}

interface Sender {
  readonly socket: WebSocket
  readonly arrived: Counter
  /** Makes the messages of one round. */
  makeBatches(cells: number): readonly Buffer[]
}

/** @param url of an echo server */
export async function measureEchoBursts(url: string, { clients, senders }: Crowd): Promise<CellsResult> {
  const sockets = await openSockets(url, clients)
  const batch = Buffer.alloc(batchCells * cellSize, 1)
  const sending = sockets.slice(0, senders).map((socket): Sender => {
    const arrived = new Counter()
    socket.on('message', (data: Buffer) => arrived.add(data.length / cellSize))
    return { socket, arrived, makeBatches: (cells) => Array.from({ length: cells / batchCells }, () => batch) }
  })
  return measureBursts(sockets, sending)
}

export async function measureRelayBursts(options: RelayCells & Crowd): Promise<CellsResult> {
  const behind = await listenAsSink(options)
  const clients = await openClients(options.crypto, options.relay, options.clients)
  const sending = await Promise.all(
    clients.slice(0, options.senders).map(async ({ socket, link, circuit }: RelayClient): Promise<Sender> => {
      const arrived = new Counter()
      await link.extend(circuit, options.sink.identity, behind.helloFor(arrived))
      return { socket, arrived, makeBatches: (cells) => sealBatches([circuit], cells) }
    }),
  )
  const result = await measureBursts(
    clients.map(({ socket }) => socket),
    sending,
  )
  behind.close()
  return result
}

async function measureBursts(sockets: readonly WebSocket[], senders: readonly Sender[]): Promise<CellsResult> {
  const bursts = Math.ceil(roundCells / (senders.length * burstMessages * batchCells))
  const cells = bursts * burstMessages * batchCells
  const prepare = () => senders.map((sender) => ({ sender, batches: sender.makeBatches(cells) }))
  const measured = measureRounds(senders.length * cells, prepare, async (prepared) => {
    await Promise.all(prepared.map(({ sender, batches }) => sendBursts(sender, batches)))
  })
  const result = await Promise.race([measured, untilLost(sockets)])
  for (const socket of sockets) socket.terminate()
  return result
}

async function sendBursts({ socket, arrived }: Sender, batches: readonly Buffer[]): Promise<void> {
  const start = arrived.count
  for (let first = 0; first < batches.length; first += burstMessages) {
    for (const batch of batches.slice(first, first + burstMessages)) socket.send(batch)
    await arrived.reaches(start + (first + burstMessages) * batchCells)
  }
}
