/** A value that must not be printed by accident: every way of printing it gives `[scrubbed]`. */
import { inspect } from 'node:util'

const scrubbed = '[scrubbed]'

export class Sensitive<T> {
  // A private field: invisible to inspection, JSON, spread, structuredClone and Object.keys.
  readonly #value: T

  constructor(value: T) {
    this.#value = value
  }

  /** The value itself: the only way to it. */
  reveal(): T {
    return this.#value
  }

  toString(): string {
    return scrubbed
  }

  toJSON(): string {
    return scrubbed
  }

  [Symbol.toPrimitive](): string {
    return scrubbed
  }

  [inspect.custom](): string {
    return scrubbed
  }
}
