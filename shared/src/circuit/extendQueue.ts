/**
 * The EXTENDs of one hop, one after the other, as the protocol has it. Those that wait for a relay at which one has failed fail
 * with it: each would take as long again (five seconds, where it is silent), and all others wait behind them.
 */
export class ExtendQueue {
  #last: Promise<unknown> = Promise.resolve()
  #asked = 0
  /** By relay: how its last one failed, and how many had been asked for by then, of whatever relay. */
  readonly #failures = new Map<string, { readonly error: unknown; readonly asked: number }>()

  /** What `extend` gives, once it is its turn. @throws what it throws, or what one to the same relay has thrown meanwhile */
  add<T>(relay: Uint8Array, extend: () => Promise<T>): Promise<T> {
    const key = relay.join()
    this.#asked += 1
    const asked = this.#asked
    const result = this.#last.then(() => {
      const failure = this.#failures.get(key)
      if (failure !== undefined && failure.asked >= asked) throw failure.error
      return this.#run(key, extend)
    })
    // The queue goes on whatever became of this one; its caller gets the error from `result`.
    this.#last = result.catch(() => undefined)
    return result
  }

  async #run<T>(key: string, extend: () => Promise<T>): Promise<T> {
    try {
      const extended = await extend()
      this.#failures.delete(key)
      return extended
    } catch (error) {
      this.#failures.set(key, { error, asked: this.#asked })
      throw error
    }
  }
}
