/** What a hostile behaviour is: something done to a relay, and what the relay does about it. */
import type { Party } from './wire.ts'

export interface Scene {
  /** What the ordinary clients go through too. */
  readonly relay: Party
  readonly middle: Party
  readonly gateway: Party
  /** An address of loopback that nobody else comes from. */
  readonly from: string
}

export interface Behaviour {
  readonly name: string
  /** What a relay may do about it. */
  readonly expected: RegExp
  /** Does it, lets go of everything, and says in words what the relay did. @throws Error where it did nothing */
  run(scene: Scene): Promise<string>
}

/** Circuits that a relay gives one link of a client. */
export const circuitsPerLink = 4
