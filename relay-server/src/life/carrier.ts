/** What carries links and circuits: the process itself, or its workers together. One interface for both. */
import type { Clock } from '@nightjar/shared/runtime'
import type { Reading } from '../admin/reading.ts'
import type { Check } from '../admin/status.ts'
import type { RelayConfig } from '../config.ts'

export interface Carrier {
  /** Where links come in. */
  readonly port: number
  checks(): readonly Check[]
  /** Exact counts. */
  read(): Promise<Reading>
  /**
   * Uses `config` from now on, with the files that it names, and the key files as they are now.
   * @throws NightjarError what is wrong with them; then nothing has changed
   */
  reload(config: RelayConfig): Promise<void>
  /** The key files have other keys now. @throws NightjarError `file-unusable` */
  reloadKeys(): Promise<void>
  /** Takes nothing new, gives what is there time to leave, and closes everything. */
  stop(leave: Leave): Promise<void>
}

export interface Leave {
  /** How long it may take. */
  readonly seconds: number
  /** Aborted where there is no time any more. */
  readonly hurry: AbortSignal
}

const lookEvery = 50

/** Resolves once `isEmpty` says so, `milliseconds` have passed, or `hurry` is aborted. */
export function untilEmpty(
  clock: Clock,
  options: { isEmpty(): boolean; milliseconds: number; hurry: AbortSignal },
): Promise<void> {
  const deadline = clock.elapsed() + options.milliseconds
  return new Promise((resolve) => {
    const look = () => {
      if (options.isEmpty() || options.hurry.aborted || clock.elapsed() >= deadline) resolve()
      else clock.after(Math.min(lookEvery, deadline - clock.elapsed()), look)
    }
    look()
  })
}
