/** The part of Node's EventEmitter that dapps use. Its state is a plain property, as in MetaMask's, so a Proxy works. */

export type Listener = (...args: readonly unknown[]) => void

export class Emitter {
  _events: Record<string, readonly Listener[]> = {}

  on(event: string, listener: Listener): this {
    this._events[event] = [...(this._events[event] ?? []), listener]
    return this
  }

  addListener(event: string, listener: Listener): this {
    return this.on(event, listener)
  }

  once(event: string, listener: Listener): this {
    const wrapped: Listener = (...args) => {
      this.removeListener(event, wrapped)
      listener(...args)
    }
    return this.on(event, Object.assign(wrapped, { listener }))
  }

  removeListener(event: string, listener: Listener): this {
    const all = this._events[event] ?? []
    const index = all.findLastIndex(
      (candidate) => candidate === listener || ('listener' in candidate && candidate.listener === listener),
    )
    if (index !== -1) this._events[event] = all.toSpliced(index, 1)
    return this
  }

  off(event: string, listener: Listener): this {
    return this.removeListener(event, listener)
  }

  removeAllListeners(event?: string): this {
    if (event === undefined) this._events = {}
    else delete this._events[event]
    return this
  }

  listeners(event: string): readonly Listener[] {
    return this._events[event] ?? []
  }

  listenerCount(event: string): number {
    return this.listeners(event).length
  }

  /** A listener that throws does not keep the others from being called. */
  emit(event: string, ...args: readonly unknown[]): boolean {
    const all = this.listeners(event)
    for (const listener of all) {
      try {
        listener.apply(this, [...args])
      } catch (error) {
        setTimeout(() => {
          throw error
        })
      }
    }
    return all.length > 0
  }
}
