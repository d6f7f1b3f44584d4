/** The computer's own clock. */
import type { Clock } from '@nightjar/shared/runtime'

/** Beyond this, in milliseconds, setTimeout fires at once instead (Node's TIMEOUT_MAX): longer delays go in steps. */
const longestTimeout = 2 ** 31 - 1

export const systemClock: Clock = {
  now: () => Date.now(),
  elapsed: () => performance.now(),
  after(delay, action) {
    let timer: NodeJS.Timeout
    const arm = (left: number) => {
      timer = left > longestTimeout ? setTimeout(arm, longestTimeout, left - longestTimeout) : setTimeout(action, left)
    }
    arm(delay)
    return { cancel: () => clearTimeout(timer) }
  },
}
