/** What bounds a relay process as a whole, as relay.yaml has it: made once, and handed in. */
import { cellSize } from '@nightjar/shared/cell'
import type { Crypto } from '@nightjar/shared/crypto'
import type { Clock } from '@nightjar/shared/runtime'
import { HandshakeGate } from './handshakes.ts'
import { limits } from './limits.ts'
import type { OnRefused } from './refusal.ts'

export interface RelayBounds {
  readonly handshakes: Pick<HandshakeGate, 'link'>
  /** Circuits of all links together. */
  readonly circuits: number
  /** Of one link that is no relay's. */
  readonly circuitsOfClientLink: number
  /** Cells that may wait in all queues of all circuits together. */
  readonly queuedCells: number
  readonly onRefused: OnRefused
}

export interface BoundsOptions {
  readonly crypto: Pick<Crypto, 'hash' | 'randomBytes'>
  readonly clock: Clock
  readonly circuits: number
  readonly handshakesPerSecond: number
  readonly queueMb: number
  readonly onRefused: OnRefused
}

export function createBounds(options: BoundsOptions): RelayBounds {
  const { crypto, clock, circuits, handshakesPerSecond, queueMb, onRefused } = options
  return {
    handshakes: new HandshakeGate({ crypto, clock, perSecond: handshakesPerSecond, onRefused }),
    circuits,
    circuitsOfClientLink: limits.circuitsPerClientLink,
    queuedCells: Math.floor((queueMb * 1024 ** 2) / cellSize),
    onRefused,
  }
}
