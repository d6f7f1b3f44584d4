/** Whose turn it is: so many at once, and only while there is room for what comes of it. The others wait in order. */
export interface TurnsOptions<T> {
  readonly atOnce: number
  hasRoom(): boolean
  /** It is the turn of `item`, until `end`. */
  begin(item: T): void
}

export class Turns<T> {
  readonly #options: TurnsOptions<T>
  readonly #waiting = new Set<T>()
  #underWay = 0

  constructor(options: TurnsOptions<T>) {
    this.#options = options
  }

  add(item: T): void {
    this.#waiting.add(item)
    this.goOn()
  }

  /** It is wanted no more; false where it does not wait. */
  drop(item: T): boolean {
    return this.#waiting.delete(item)
  }

  /** A turn is over. */
  end(): void {
    this.#underWay -= 1
    this.goOn()
  }

  /** To be called when there may be room again. */
  goOn(): void {
    const { atOnce, hasRoom, begin } = this.#options
    for (const item of this.#waiting) {
      if (this.#underWay >= atOnce || !hasRoom()) return
      this.#waiting.delete(item)
      this.#underWay += 1
      begin(item)
    }
  }
}
