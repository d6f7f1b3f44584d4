/** The lab's clock: like FakeClock of the tests, with a heap, so that days with many timers cost little. */
import type { Clock, Timer } from '@nightjar/shared/runtime'

interface Pending {
  readonly due: number
  readonly order: number
  /** Undefined once cancelled. */
  action: (() => void) | undefined
}

export class LabClock implements Clock {
  #now: number
  #order = 0
  readonly #heap: Pending[] = []

  constructor(now: number) {
    this.#now = now
  }

  now(): number {
    return this.#now
  }

  elapsed(): number {
    return this.#now
  }

  after(delay: number, action: () => void): Timer {
    const pending: Pending = { due: this.#now + Math.max(delay, 0), order: this.#order++, action }
    this.#push(pending)
    return {
      cancel: () => {
        pending.action = undefined
      },
    }
  }

  /** What falls due by `end` happens, in order; promises settle before the next. */
  async run(end: number): Promise<void> {
    await turn()
    for (let next = this.#heap[0]; next !== undefined && next.due <= end; next = this.#heap[0]) {
      this.#pop()
      if (next.action === undefined) continue
      this.#now = next.due
      next.action()
      await turn()
    }
    this.#now = end
  }

  #push(pending: Pending): void {
    const heap = this.#heap
    let at = heap.push(pending) - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!isBefore(pending, heap[parent] as Pending)) break
      heap[at] = heap[parent] as Pending
      at = parent
    }
    heap[at] = pending
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop() as Pending
    if (heap.length === 0) return
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Pending, heap[child] as Pending)) child += 1
      if (!isBefore(heap[child] as Pending, last)) break
      heap[at] = heap[child] as Pending
      at = child
    }
    heap[at] = last
  }
}

function isBefore(a: Pending, b: Pending): boolean {
  return a.due < b.due || (a.due === b.due && a.order < b.order)
}

/** Promises that can settle have settled. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
