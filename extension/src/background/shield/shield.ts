/**
 * The third door, as the rest of the background knows it. Browsers differ in how it is put up: Chromium has a setting
 * (door.ts), Firefox asks for each request (requestDoor.ts). In both it is put up as a step of going private and taken
 * down by the user alone, and listed hosts are never direct in between, though they may lead nowhere.
 */
import type { SystemProxy } from '@nightjar/shared/bridge'
import type { NightjarError } from '@nightjar/shared/errors'
import type { Session } from '../session.ts'
import type { Store } from '../store.ts'
import type { Ports } from './decision.ts'

export interface ShieldInit {
  readonly store: Store
  readonly session: Session
  onChange(): void
}

export interface Shield {
  /** `up`: listed hosts go to the daemon. `closed`: it is not there, and they go nowhere. */
  readonly state: 'down' | 'up' | 'closed'
  /** Why it is not up as it should be. */
  readonly problem: NightjarError | undefined
  /** The background begins: what was up stays up, and what was left behind goes. */
  begin(): void
  /** @throws NightjarError its `problem`; it is then tried again whenever the browser says that something changed */
  raise(): Promise<void>
  /** The user turned off. */
  lower(): void
  /** Where the daemon listens; undefined while it does not. */
  setPorts(ports: Ports | undefined): void
  /** Where the system sends its requests, once the native program has told it. */
  setSystemProxy(system: SystemProxy | null): void
  /** The user made other choices. */
  onChoices(): void
}
