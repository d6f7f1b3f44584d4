/** The relay proper: a table of circuits for each link that comes in, and what all of them share. */
import { command, destroyCell } from '@nightjar/shared/cell'
import { CircuitTable } from '@nightjar/shared/circuit'
import { toWire } from '@nightjar/shared/errors'
import { limits } from '@nightjar/shared/limits'
import { type CircuitHost, RelayCircuit } from './circuit.ts'

export interface RelayCounts {
  circuits: number
}

export interface RelayCore {
  /** A table for a new incoming link. */
  accept(): CircuitTable
  readonly counts: Readonly<RelayCounts>
}

export function createRelay(host: CircuitHost): RelayCore {
  const counts: RelayCounts = { circuits: 0 }

  function accept(): CircuitTable {
    const table: CircuitTable = new CircuitTable({
      onCreate(circuitId, cell) {
        if (table.size >= limits.circuitsPerLink) {
          return table.link.send(destroyCell(circuitId, toWire('limit-reached')))
        }
        counts.circuits += 1
        const circuit = new RelayCircuit(host, table, circuitId, () => {
          counts.circuits -= 1
        })
        table.add(circuitId, circuit)
        circuit.onCell(command.create, cell)
      },
    })
    return table
  }

  return { accept, counts }
}
