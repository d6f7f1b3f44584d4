/** A setting of the browser without one: whoever sets it is told, and another extension may take it. */
import type { BrowserSetting, Control } from '../shield/settingDoor.ts'

export class FakeSetting<T> implements BrowserSetting<T> {
  /** What holds without us: the user's, the system's or another extension's. */
  other: T
  /** Whether it is held against us. */
  heldBy: Extract<Control, 'not_controllable' | 'controlled_by_other_extensions'> | undefined
  ours: T | undefined
  /** All that we ever set. */
  readonly sets: T[] = []
  /** What setting it ends with. */
  failure: Error | undefined
  readonly #listeners: (() => void)[] = []

  constructor(other: T) {
    this.other = other
  }

  readonly get = async () => {
    const levelOfControl: Control =
      this.heldBy ?? (this.ours === undefined ? 'controllable_by_this_extension' : 'controlled_by_this_extension')
    return { value: this.value, levelOfControl }
  }

  readonly set = async (value: T): Promise<void> => {
    if (this.failure !== undefined) throw this.failure
    this.ours = value
    this.sets.push(value)
    this.#tell()
  }

  readonly clear = async (): Promise<void> => {
    this.ours = undefined
    this.#tell()
  }

  readonly onChange = (listener: () => void): void => void this.#listeners.push(listener)

  /** What holds now. */
  get value(): T {
    return this.heldBy === undefined ? (this.ours ?? this.other) : this.other
  }

  /** Another extension or a policy takes it, or gives it back. */
  hold(by: FakeSetting<T>['heldBy']): void {
    this.heldBy = by
    this.#tell()
  }

  /** The service worker was stopped: nobody listens any more. */
  forgetListeners(): void {
    this.#listeners.length = 0
  }

  #tell(): void {
    for (const listener of this.#listeners) queueMicrotask(listener)
  }
}
