/**
 * What carries sealed records to one gateway and back: a branch of the daemon's, or one across the bridge. Whoever has a
 * carrier cannot read what it carries; whoever seals (sealedBranch.ts) does not know how it gets there.
 */
import type { ErrorCode, NightjarError } from '../errors/index.ts'

export interface Carrier {
  /** Why it is gone; undefined while it stands. */
  readonly error: NightjarError | undefined
  /** What is new belongs on another one: a relay on its way drains. */
  readonly isLeaving?: boolean
  /** Told when it is to be left so. It stays as long as something is followed on it. */
  onLeaving?(listener: () => void): void
  onClosed(listener: (error: NightjarError) => void): void
  /**
   * It is to stand for so many milliseconds from now, also where nobody is left here: what is followed on it from now on
   * takes no credit. To be called once; after it `retire` ends nothing but what is followed, for whoever follows it here.
   */
  keep(duration: number): void
  /** One sealed question, one sealed answer. @throws NightjarError where no answer came */
  exchange(record: Uint8Array): Promise<Uint8Array>
  /** One sealed question, many sealed answers of `cells` each, until either side has enough. */
  follow(record: Uint8Array, cells: number, handler: FollowHandler): Following
  /**
   * Takes nothing new; closes once what is under way has ended. At once, and to the gateway's account, where that
   * `failed` to prove who it is, or to answer as that.
   */
  retire(failed?: boolean): void
}

export interface FollowHandler {
  onRecord(record: Uint8Array): void
  /** Nothing more comes. */
  onEnd(code: ErrorCode): void
}

export interface Following {
  /** Its handler hears nothing more. */
  stop(): void
}
