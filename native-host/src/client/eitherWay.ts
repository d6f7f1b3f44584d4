/** One of two ways to the same: the second is taken where the first fails, or has not come to anything for a while. */
import type { Clock } from '@nightjar/shared/runtime'

export interface Ways<T> {
  first(): Promise<T>
  /** Undefined where there is none. */
  second(): Promise<T> | undefined
  /** The other one came to something, too late. */
  onNotNeeded(result: T): void
}

/**
 * @param late after so many milliseconds the second is tried, too
 * @throws what the last way failed with
 */
export async function eitherWay<T>(clock: Clock, late: number, ways: Ways<T>): Promise<T> {
  const first = ways.first()
  if (await comesTo(clock, late, first)) return first
  const second = begin(ways, first)
  if (second === undefined) return first
  try {
    const result = await Promise.any([first, second])
    for (const way of [first, second]) way.then((each) => each !== result && ways.onNotNeeded(each), ignore)
    return result
  } catch {
    return second
  }
}

/** @throws what keeps the second from being tried; then the first is not needed either */
function begin<T>({ second, onNotNeeded }: Ways<T>, first: Promise<T>): Promise<T> | undefined {
  try {
    return second()
  } catch (error) {
    first.then(onNotNeeded, ignore)
    throw error
  }
}

/** Whether there is a result within `late` milliseconds. */
function comesTo(clock: Clock, late: number, way: Promise<unknown>): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = clock.after(late, () => resolve(false))
    const over = (isThere: boolean) => {
      timer.cancel()
      resolve(isThere)
    }
    way.then(
      () => over(true),
      () => over(false),
    )
  })
}

/** The way that failed has its say in `Promise.any`. */
function ignore(): void {}
