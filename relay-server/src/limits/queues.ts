/**
 * What waits in all queues of all circuits of a process together. Where that is too much, the longest queues are given
 * up: a peer that does not read has the longest, and loses its branch before anybody else loses anything.
 *
 * Finding the longest takes a look at all. So that not every cell costs one, they are given up until there is some room.
 */
import type { OnRefused } from './refusal.ts'

/** What waits for one branch, both ways, or for the client itself. */
export interface Queue {
  readonly cells: number
  /** Ends what it waits for. */
  giveUp(): void
}

export interface QueuesOptions {
  /** Cells that wait, as a running total, and that may. */
  waiting(): number
  most(): number
  readonly onRefused: OnRefused
}

/** How much is left to wait once there was too much. */
const enough = 7 / 8

export class Queues {
  readonly #options: QueuesOptions
  /** Whatever has some, for as long as it is there. */
  readonly owners = new Set<{ queues(): Iterable<Queue> }>()
  #isGivingUp = false

  constructor(options: QueuesOptions) {
    this.#options = options
  }

  /** To be called when a cell may have been queued. */
  check(): void {
    const { waiting, most } = this.#options
    // Whoever loses a branch is told so, which queues a cell and leads back here.
    if (this.#isGivingUp || waiting() <= most()) return
    this.#isGivingUp = true
    try {
      this.#giveUpLongest()
    } finally {
      this.#isGivingUp = false
    }
  }

  #giveUpLongest(): void {
    const { waiting, most, onRefused } = this.#options
    const queues: Queue[] = []
    for (const owner of this.owners) for (const queue of owner.queues()) if (queue.cells > 0) queues.push(queue)
    queues.sort((one, other) => other.cells - one.cells)
    for (const queue of queues) {
      onRefused('queue-memory')
      queue.giveUp()
      if (waiting() <= most() * enough) return
    }
  }
}
