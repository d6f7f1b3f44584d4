/**
 * Cells through one relay process, from one client. The driver is the client on one side of the relay and the next relay
 * on its other side: it seals cells for the relay beforehand, sends them in full batches over several links and circuits, and
 * counts what arrives behind. So the relay is what limits, not the driver. Many clients at once are in bursts.ts.
 *
 * The same driver measures the reference, a plain echo that does one AEAD per cell and sends each batch back.
 */
import { cellSize } from '@nightjar/shared/cell'
import type { Relay } from '@nightjar/shared/directory'
import { limits } from '@nightjar/shared/limits'
import type { WebSocket } from 'ws'
import { batchCells, Counter, openSocket, RawLink, sealBatches, untilLost } from './rawLink.ts'
import { listenAsSink, type SinkOptions } from './sink.ts'

/** A relay gives no link of a client more circuits. */
const circuitsPerLink = 4
const links = 4
/** Cells of one round. */
export const roundCells = 128 * 1024
const rounds = 5
/** Below W per branch, so that the relay never has to close one. */
const mostInFlight = (limits.branchWindow / 2) * circuitsPerLink * links

export interface CellsResult {
  /** Median over the rounds. */
  readonly cellsPerS: number
}

interface DrivenLink {
  readonly socket: WebSocket
  readonly arrived: Counter
  /** Makes the messages of one round. */
  makeBatches(cells: number): readonly Buffer[]
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
  const makeBatches = (cells: number) => Array.from({ length: cells / batchCells }, () => batch)
  return measureOn([{ socket, arrived, makeBatches }])
}

export async function measureRelay(options: RelayCells): Promise<CellsResult> {
  const { crypto, relay, sink } = options
  const behind = await listenAsSink(options)
  const open = async (): Promise<DrivenLink> => {
    const socket = await openSocket(relay.addresses[0]?.url as string)
    const arrived = new Counter()
    const link = new RawLink(crypto, socket)
    const circuits = await Promise.all(
      Array.from({ length: circuitsPerLink }, async () => {
        const circuit = await link.create(relay)
        await link.extend(circuit, sink.identity, behind.helloFor(arrived))
        return circuit
      }),
    )
    return { socket, arrived, makeBatches: (cells) => sealBatches(circuits, cells) }
  }
  const result = await measureOn(await Promise.all(Array.from({ length: links }, open)))
  behind.close()
  return result
}

async function measureOn(driven: readonly DrivenLink[]): Promise<CellsResult> {
  const sockets = driven.map(({ socket }) => socket)
  const prepare = () => driven.map((link) => ({ link, batches: link.makeBatches(roundCells / driven.length) }))
  const measured = measureRounds(roundCells, prepare, async (prepared) => {
    await Promise.all(prepared.map(({ link, batches }) => sendAll(link, batches, mostInFlight / driven.length)))
  })
  const result = await Promise.race([measured, untilLost(sockets)])
  for (const socket of sockets) socket.terminate()
  return result
}

async function sendAll({ socket, arrived }: DrivenLink, batches: readonly Buffer[], inFlight: number): Promise<void> {
  const start = arrived.count
  for (const [index, batch] of batches.entries()) {
    await arrived.reaches(start + (index + 1) * batchCells - inFlight)
    socket.send(batch)
  }
  await arrived.reaches(start + batches.length * batchCells)
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
