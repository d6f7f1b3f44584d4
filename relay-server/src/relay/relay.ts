/** The relay proper: a table of circuits for each link that comes in, and what all of them share. */
import { command, destroyCell, goawayCell } from '@nightjar/shared/cell'
import { CircuitTable } from '@nightjar/shared/circuit'
import { type ErrorCode, toWire } from '@nightjar/shared/errors'
import { second } from '@nightjar/shared/runtime'
import type { RelayBounds } from '../limits/bounds.ts'
import { Extends } from '../limits/extends.ts'
import { HandshakeQueue } from '../limits/handshakeQueue.ts'
import { limits } from '../limits/limits.ts'
import { Queues } from '../limits/queues.ts'
import { isFair } from '../limits/share.ts'
import { type Source, SourceCounts, Sources } from '../limits/sources.ts'
import { RelayCircuit } from './circuit.ts'
import type { CircuitBounds, CircuitHost } from './host.ts'
import { KeptBranches } from './kept.ts'
import { countCode, type OnForwarded, RelayMeter } from './meter.ts'

export interface RelayCore {
  /** A table for a new incoming link, from `address` where that is known. */
  accept(address?: string): CircuitTable
  /**
   * From now on there are no new circuits, and whoever has some is told that so many seconds are left. Branches whose
   * circuit has ended end in the first half of them.
   */
  drain(seconds: number): void
  /** Whether it may end: there are neither circuits nor branches of some that ended. */
  isEmpty(): boolean
  readonly counts: Readonly<RelayMeter>
}

export function createRelay(host: CircuitHost, bounds: RelayBounds, onForwarded?: OnForwarded): RelayCore {
  const { onRefused } = bounds
  const meter = new RelayMeter(onForwarded)
  const queues = new Queues({
    waiting: () => meter.queued.forward + meter.queued.backward,
    most: () => bounds.queuedCells,
    onRefused,
  })
  const sources = new Sources()
  const circuits = new SourceCounts()
  const kept = new KeptBranches({ crypto: host.crypto, clock: host.clock, meter, onRefused })
  queues.owners.add(kept)
  const ofProcess = {
    circuits,
    extends: new Extends(host.clock),
    handshakeQueue: new HandshakeQueue(host.nextTurn, onRefused),
    queues,
    kept,
    onRefused,
  }
  const tables = new Set<CircuitTable>()
  let isDraining = false

  function accept(address?: string): CircuitTable {
    const source = sources.of(address)
    const circuitBounds: CircuitBounds = { ...ofProcess, handshakes: bounds.handshakes.link(), source }
    let lastRefused: number | undefined
    const table: CircuitTable = new CircuitTable({
      onCreate(circuitId, cell) {
        // The cells of one CREATE come one after another, and each finds no circuit.
        const refusal = refusalFor(table, source, circuitId !== lastRefused)
        if (refusal !== undefined) {
          lastRefused = circuitId
          return table.link.send(destroyCell(circuitId, toWire(refusal)))
        }
        const circuit = new RelayCircuit(host, meter, circuitBounds, table, circuitId)
        table.add(circuitId, circuit)
        circuit.onCell(command.create, cell)
      },
      onClosed({ code }) {
        tables.delete(table)
        countCode(meter.linksClosed, code)
      },
    })
    tables.add(table)
    return table
  }

  /** Why `table`, which is of `source`, may not have another circuit. */
  function refusalFor(table: CircuitTable, source: Source, isCounted: boolean): ErrorCode | undefined {
    const isFull = table.size >= limits.circuitsPerLink
    if (!isDraining && !isFull && isFair(circuits.of(source), bounds.circuits - meter.circuits)) return undefined
    const code = isDraining ? 'draining' : 'limit-reached'
    if (!isCounted) return code
    countCode(meter.handshakes, code)
    if (!isDraining) onRefused(isFull ? 'link-circuits' : 'circuit-share')
    return code
  }

  function drain(seconds: number): void {
    isDraining = true
    for (const { link } of tables) link.send(goawayCell(seconds))
    kept.drain((seconds * second) / 2)
  }

  const isEmpty = () => meter.circuits === 0 && meter.keptBranches === 0

  return { accept, drain, isEmpty, counts: meter }
}
