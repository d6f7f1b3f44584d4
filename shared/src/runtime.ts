/**
 * What the pure code needs of the world around it, handed in by each process's composition root so that tests can hand
 * in a fake.
 */

export const millisecond = 1
export const second = 1000 * millisecond
export const minute = 60 * second
export const hour = 60 * minute
export const day = 24 * hour

export interface Timer {
  cancel(): void
}

export interface Clock {
  /** Milliseconds since the Unix epoch: the machine's clock, which is set back and forth. For points in time. */
  now(): number
  /** Milliseconds since some moment, which nobody sets: for how long something takes. A machine's sleep may count or not. */
  elapsed(): number
  /** Calls `action` once, `delay` milliseconds from now, unless cancelled. */
  after(delay: number, action: () => void): Timer
}

/** Resolves after `delay` milliseconds of `clock`. */
export function pause(clock: Clock, delay: number): Promise<void> {
  return new Promise((resolve) => clock.after(delay, resolve))
}

/** The result of `promise`, or `onTimeout()` thrown after `delay` milliseconds of `clock`. */
export async function within<T>(clock: Clock, delay: number, promise: Promise<T>, onTimeout: () => Error): Promise<T> {
  let timer: Timer | undefined
  const expiry = new Promise<never>((_, reject) => {
    timer = clock.after(delay, () => reject(onTimeout()))
  })
  try {
    return await Promise.race([promise, expiry])
  } finally {
    timer?.cancel()
  }
}
