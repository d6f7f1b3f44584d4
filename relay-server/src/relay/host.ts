/** What a circuit needs of its relay, and what bounds it there. */
import type { Accept } from '@nightjar/shared/circuit'
import type { Crypto } from '@nightjar/shared/crypto'
import type { Relay } from '@nightjar/shared/directory'
import type { ResponderSecrets } from '@nightjar/shared/handshake'
import type { Clock } from '@nightjar/shared/runtime'
import type { Extends } from '../limits/extends.ts'
import type { HandshakeQueue, NextTurn } from '../limits/handshakeQueue.ts'
import type { LinkHandshakes } from '../limits/handshakes.ts'
import type { Queues } from '../limits/queues.ts'
import type { OnRefused } from '../limits/refusal.ts'
import type { Counts, Origin, Source } from '../limits/sources.ts'
import type { KeptBranches } from './kept.ts'
import type { Place } from './pool.ts'

export interface CircuitHost {
  readonly crypto: Crypto
  readonly clock: Clock
  readonly nextTurn: NextTurn
  /** The keys to answer handshakes with, now. */
  secrets(): ResponderSecrets
  /** The relay of that identity in the verified network document. */
  findRelay(identity: Uint8Array): Relay | undefined
  /** Whether that is one's. Where there is no document yet, nobody's is: identities can be made, and their proofs with them. */
  isRelay(identity: Uint8Array): boolean
  /** A place on a link to `relay`, for a branch of that origin. */
  placeTo(relay: Relay, origin: Origin): Promise<Place>
  /** The services of this relay for one circuit; called at its first BEGIN. Listeners are told when the circuit ends. */
  serve(onEnded: (listener: () => void) => void): Accept
}

/** What keeps a circuit within what its link, and the process, can bear. */
export interface CircuitBounds {
  /** Of its link. */
  readonly handshakes: Pick<LinkHandshakes, 'admit'>
  readonly source: Source
  /** Whether that is a relay of the network, as far as is known now. */
  isRelay(): boolean
  /** Of the process. */
  readonly circuits: Counts
  readonly extends: Extends
  readonly handshakeQueue: HandshakeQueue
  readonly queues: Queues
  readonly kept: KeptBranches
  readonly onRefused: OnRefused
}
