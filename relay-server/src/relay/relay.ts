/** The relay proper: a table of circuits for each link that comes in, and what all of them share. */
import { command, destroyCell, goawayCell } from '@nightjar/shared/cell'
import { CircuitTable } from '@nightjar/shared/circuit'
import { toWire } from '@nightjar/shared/errors'
import { limits } from '@nightjar/shared/limits'
import { createBounds, defaultBounds, type RelayBounds } from '../limits/bounds.ts'
import { Queues } from '../limits/queues.ts'
import { type CircuitBounds, type CircuitHost, RelayCircuit } from './circuit.ts'
import { countCode, type OnForwarded, RelayMeter } from './meter.ts'

export interface RelayCore {
  /** A table for a new incoming link. */
  accept(): CircuitTable
  /** From now on there are no new circuits, and whoever has some is told that so many seconds are left. */
  drain(seconds: number): void
  readonly counts: Readonly<RelayMeter>
}

export function createRelay(
  host: CircuitHost,
  onForwarded?: OnForwarded,
  bounds: RelayBounds = createBounds({ crypto: host.crypto, clock: host.clock, ...defaultBounds, onRefused: () => {} }),
): RelayCore {
  const meter = new RelayMeter(onForwarded)
  const queues = new Queues({
    waiting: () => meter.queued.forward + meter.queued.backward,
    most: () => bounds.queuedCells,
    onRefused: bounds.onRefused,
  })
  const tables = new Set<CircuitTable>()
  let isDraining = false

  function accept(): CircuitTable {
    const circuitBounds: CircuitBounds = { handshakes: bounds.handshakes.link(), queues, onRefused: bounds.onRefused }
    let lastRefused: number | undefined
    const table: CircuitTable = new CircuitTable({
      onCreate(circuitId, cell) {
        const refusal = isDraining ? 'draining' : table.size >= limits.circuitsPerLink ? 'limit-reached' : undefined
        if (refusal !== undefined) {
          // The cells of one CREATE come one after another, and each finds no circuit.
          if (circuitId !== lastRefused) countCode(meter.handshakes, refusal)
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

  function drain(seconds: number): void {
    isDraining = true
    for (const { link } of tables) link.send(goawayCell(seconds))
  }

  return { accept, drain, counts: meter }
}
