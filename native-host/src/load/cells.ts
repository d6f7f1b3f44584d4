/**
 * Cells through one relay process, from one client. The driver is the client on one side of the relay and the next relay
 * on its other side: it seals cells for the relay beforehand, sends them in full batches over several circuits, and counts
 * what arrives behind. So the relay is what limits, not the driver. Many clients at once are in bursts.ts.
 *
 * The same driver measures the reference, a plain echo that does one AEAD per cell and sends each batch back.
 */
import { cellSize } from '@nightjar/shared/cell'
import type { Relay } from '@nightjar/shared/directory'
import { limits } from '@nightjar/shared/limits'
import type { WebSocket } from 'ws'
import { batchCells, Counter, openSocket, RawLink, sealBatches, untilLost } from './rawLink.ts'
import { listenAsSink, type SinkOptions } from './sink.ts'

const circuits = 16
/** Cells of one round. */
export const roundCells = 128 * 1024
const rounds = 5
/** Below W per branch, so that the relay never has to close one. */
const inFlightCells = (limits.branchWindow / 2) * circuits

export interface CellsResult {
  /** Median over the rounds. */
  readonly cellsPerS: number
}

export interface RelayCells extends SinkOptions {
  /** The relay under test. */
  readonly relay: Relay
}

/** @param url of an echo server */
export async function measureEcho(url: string): Promise<CellsResult> {
  const socket = await openSocket(url)
  const arrived = new Counter()
  socket.on('message', (data: Buffer) => arrived.add(data.length / cellSize))
  const batch = Buffer.alloc(batchCells * cellSize, 1)
  const batches = Array.from({ length: roundCells / batchCells }, () => batch)
  return measureOn(socket, arrived, () => batches)
}

export async function measureRelay(options: RelayCells): Promise<CellsResult> {
  const { crypto, relay, sink } = options
  const arrived = new Counter()
  const behind = await listenAsSink(options)
  const socket = await openSocket(relay.addresses[0]?.url as string)
  const link = new RawLink(crypto, socket)
  const opened = await Promise.all(
    Array.from({ length: circuits }, async () => {
      const circuit = await link.create(relay)
      await link.extend(circuit, sink.identity, behind.helloFor(arrived))
      return circuit
    }),
  )
  const result = await measureOn(socket, arrived, () => sealBatches(opened, roundCells))
  behind.close()
  return result
}

async function measureOn(
  socket: WebSocket,
  arrived: Counter,
  makeBatches: () => readonly Buffer[],
): Promise<CellsResult> {
  const send = async (batches: readonly Buffer[]) => {
    const start = arrived.count
    for (const [index, batch] of batches.entries()) {
      await arrived.reaches(start + (index + 1) * batchCells - inFlightCells)
      socket.send(batch)
    }
    await arrived.reaches(start + batches.length * batchCells)
  }
  const result = await Promise.race([measureRounds(roundCells, makeBatches, send), untilLost([socket])])
  socket.terminate()
  return result
}

/** `prepare` makes what a round of `cells` sends and does not count; `run` resolves when all of them have arrived. */
export async function measureRounds<T>(
  cells: number,
  prepare: () => T,
  run: (prepared: T) => Promise<void>,
): Promise<CellsResult> {
  const speeds: number[] = []
  for (let round = -1; round < rounds; round++) {
    const prepared = prepare()
    const begun = performance.now()
    await run(prepared)
    // The first round only warms up.
    if (round >= 0) speeds.push((cells * 1000) / (performance.now() - begun))
  }
  speeds.sort((a, b) => a - b)
  return { cellsPerS: speeds[Math.floor(speeds.length / 2)] as number }
}
