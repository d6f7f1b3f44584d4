/** Bytes of answers that a process holds: as providers send them, and until clients have taken them. */
export class AnswerMemory {
  held = 0
  readonly #most: number

  /** `most` in bytes. */
  constructor(most: number) {
    this.#most = most
  }

  get isFull(): boolean {
    return this.held >= this.#most
  }
}
