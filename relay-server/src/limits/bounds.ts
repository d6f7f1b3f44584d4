/** What bounds a relay process as a whole, beside the constants of shared/src/limits.ts: made once, and handed in. */
import { cellSize } from '@nightjar/shared/cell'
import type { Crypto } from '@nightjar/shared/crypto'
import type { Clock } from '@nightjar/shared/runtime'
import { HandshakeGate } from './handshakes.ts'
import type { OnRefused } from './refusal.ts'

export interface RelayBounds {
  readonly handshakes: Pick<HandshakeGate, 'link'>
  /** Cells that may wait in all queues of all circuits together. */
  readonly queuedCells: number
  readonly onRefused: OnRefused
}

export interface BoundsOptions {
  readonly crypto: Pick<Crypto, 'hash' | 'randomBytes'>
  readonly clock: Clock
  readonly handshakesPerSecond: number
  readonly queueMb: number
  readonly onRefused: OnRefused
}

/** As relay.yaml has them where it says nothing. */
export const defaultBounds = { handshakesPerSecond: 1000, queueMb: 256 } as const

export function createBounds(options: BoundsOptions): RelayBounds {
  const { crypto, clock, handshakesPerSecond, queueMb, onRefused } = options
  return {
    handshakes: new HandshakeGate({ crypto, clock, perSecond: handshakesPerSecond, onRefused }),
    queuedCells: Math.floor((queueMb * 1024 ** 2) / cellSize),
    onRefused,
  }
}
