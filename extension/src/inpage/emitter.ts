/** Events as providers have them (EIP-1193 refers to Node.js): the few methods that pages use, and Node's rules. */

export type Listener = (...args: unknown[]) => void

interface Entry {
  readonly listener: Listener
  readonly isOnce: boolean
}

export class Emitter {
  readonly #entries = new Map<string, readonly Entry[]>()

  /** The same function may be added twice and is then called twice. */
  add(event: string, listener: Listener, isOnce = false): void {
    this.#entries.set(event, [...this.#of(event), { listener, isOnce }])
  }

  /** Removes `listener` once, where it was added last. */
  remove(event: string, listener: Listener): void {
    const entries = this.#of(event)
    const index = entries.findLastIndex((entry) => entry.listener === listener)
    if (index >= 0) this.#entries.set(event, entries.toSpliced(index, 1))
  }

  removeAll(event?: string): void {
    if (event === undefined) this.#entries.clear()
    else this.#entries.delete(event)
  }

  /** Calls those that listen now, in the order of their adding. What one throws does not keep the next from its call. */
  emit(event: string, ...args: unknown[]): void {
    for (const entry of this.#of(event)) {
      if (entry.isOnce) this.#drop(event, entry)
      try {
        entry.listener(...args)
      } catch (error) {
        // The page's own mistake: it goes where the page's mistakes go.
        queueMicrotask(() => {
          throw error
        })
      }
    }
  }

  #of(event: string): readonly Entry[] {
    return this.#entries.get(event) ?? []
  }

  #drop(event: string, gone: Entry): void {
    this.#entries.set(
      event,
      this.#of(event).filter((entry) => entry !== gone),
    )
  }
}
