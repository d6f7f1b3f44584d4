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
import type { Refusal } from '../limits/refusal.ts'
import { isFair } from '../limits/share.ts'
import { Counts, type Source, Sources } from '../limits/sources.ts'
import { RelayCircuit } from './circuit.ts'
import type { CircuitBounds, CircuitHost } from './host.ts'
import { KeptBranches } from './kept.ts'
import { countCode, type OnForwarded, RelayMeter } from './meter.ts'

export interface RelayCore {
  /** A table for a new incoming link, from `address` where that is known, and of whom it proved to be of (linkProof.ts). */
  accept(address?: string, identity?: Uint8Array): CircuitTable
  /**
   * From now on there are no new circuits, and whoever has some is told that so many seconds are left. Branches whose
   * circuit has ended end in the first half of them.
   */
  drain(seconds: number): void
  /** Whether it may end: there are neither circuits nor branches of some that ended. */
  isEmpty(): boolean
  readonly counts: Readonly<RelayMeter>
}

/** Whose the circuits of a link are. */
interface Owner {
  readonly source: Source
  /** Of the network, as far as is known now. */
  isRelay(): boolean
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
  const circuits = new Counts()
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

  function accept(address?: string, identity?: Uint8Array): CircuitTable {
    const source = sources.of(address, identity && host.findRelay(identity)?.id)
    const owner: Owner = { source, isRelay: () => identity !== undefined && host.isRelay(identity) }
    const circuitBounds: CircuitBounds = { ...ofProcess, ...owner, handshakes: bounds.handshakes.link() }
    let lastRefused: number | undefined
    const table: CircuitTable = new CircuitTable({
      onCreate(circuitId, cell) {
        // The cells of one CREATE come one after another, and each finds no circuit.
        const refusal = refusalFor(table, owner, circuitId !== lastRefused)
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

  /** Why `table` may not have another circuit. */
  function refusalFor(table: CircuitTable, owner: Owner, isCounted: boolean): ErrorCode | undefined {
    const refusal = isDraining ? undefined : limitOf(table, owner)
    if (!isDraining && refusal === undefined) return undefined
    const code = isDraining ? 'draining' : 'limit-reached'
    if (!isCounted) return code
    countCode(meter.handshakes, code)
    if (refusal !== undefined) onRefused(refusal)
    return code
  }

  function limitOf(table: CircuitTable, { source, isRelay }: Owner): Refusal | undefined {
    if (table.size >= limits.circuitsPerLink) return 'link-circuits'
    if (table.size >= bounds.circuitsOfClientLink && !isRelay()) return 'client-circuits'
    return isFair(circuits.of(source), bounds.circuits - meter.circuits) ? undefined : 'circuit-share'
  }

  function drain(seconds: number): void {
    isDraining = true
    for (const { link } of tables) link.send(goawayCell(seconds))
    kept.drain((seconds * second) / 2)
  }

  const isEmpty = () => meter.circuits === 0 && meter.keptBranches === 0

  return { accept, drain, isEmpty, counts: meter }
}
