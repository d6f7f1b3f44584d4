/** A gate that requests wait at: closed at first, then open, or failed with the reason why it will not open. */
export class Gate {
  #current = fresh()
  #state: 'closed' | 'open' | 'failed' = 'closed'

  get hasFailed(): boolean {
    return this.#state === 'failed'
  }

  /** Resolves once it is open. @throws what it failed with */
  passed(): Promise<void> {
    return this.#current.promise
  }

  open(): void {
    this.close()
    this.#state = 'open'
    this.#current.resolve()
  }

  fail(error: Error): void {
    this.close()
    this.#state = 'failed'
    this.#current.reject(error)
  }

  /** Whoever waits already goes on waiting. */
  close(): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#current = fresh()
  }
}

function fresh(): PromiseWithResolvers<void> {
  const current = Promise.withResolvers<void>()
  // Nobody may be waiting when it fails.
  current.promise.catch(() => undefined)
  return current
}
