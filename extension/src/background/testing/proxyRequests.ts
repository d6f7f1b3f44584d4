/** Firefox's questions which proxy a request is to take, without one. */
import type { ProxyAnswer, ProxyRequests } from '../shield/requestDoor.ts'

export class FakeRequests implements ProxyRequests {
  isAllowed = true
  /** What is asked about beside the list. */
  covered: readonly string[] = []
  #answer: ((url: string) => ProxyAnswer | undefined) | undefined
  readonly #listeners: (() => void)[] = []

  readonly answerBy = (answer: (url: string) => ProxyAnswer | undefined): void => {
    this.#answer = answer
  }

  readonly cover = (hosts: readonly string[]): void => {
    this.covered = hosts
  }

  readonly areShown = async (): Promise<boolean> => this.isAllowed

  readonly onChange = (listener: () => void): void => void this.#listeners.push(listener)

  /** What the browser is told; `waits` while nobody has answered since the background's start. */
  ask(url: string): ProxyAnswer | 'waits' | undefined {
    return this.#answer === undefined ? 'waits' : this.#answer(url)
  }

  allow(isAllowed: boolean): void {
    this.isAllowed = isAllowed
    for (const listener of this.#listeners) listener()
  }

  /** The background was stopped: nobody listens any more. */
  forgetListeners(): void {
    this.#answer = undefined
    this.#listeners.length = 0
  }
}
