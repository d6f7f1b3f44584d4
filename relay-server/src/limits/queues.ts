/**
 * What waits in all queues of all circuits of a process together. Where that is too much, the longest queue is given up:
 * a peer that does not read has the longest, and loses its branch before anybody else loses anything.
 */
import type { OnRefused } from './refusal.ts'

/** What waits for one branch, both ways, or for the client itself. */
export interface Queue {
  readonly cells: number
  /** Ends what it waits for. */
  giveUp(): void
}

export interface QueuesOptions {
  /** Cells that wait, and that may. */
  waiting(): number
  most(): number
  readonly onRefused: OnRefused
}

export class Queues {
  readonly #options: QueuesOptions
  /** Whatever has some, for as long as it is there. */
  readonly owners = new Set<{ readonly longestQueue: Queue }>()
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
      while (waiting() > most() && this.#giveUpLongest());
    } finally {
      this.#isGivingUp = false
    }
  }

  #giveUpLongest(): boolean {
    let longest: Queue | undefined
    for (const { longestQueue } of this.owners) {
      if (longestQueue.cells > (longest?.cells ?? 0)) longest = longestQueue
    }
    if (longest === undefined) return false
    this.#options.onRefused('queue-memory')
    longest.giveUp()
    return true
  }
}
