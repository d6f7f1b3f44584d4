/** Numbers and times as the pages write them. */
import { day, hour, minute, second } from '@nightjar/shared/runtime'

/** `just now`, `4 s ago`, `3 min ago`, `2 h ago`, `5 days ago`. */
export function formatAgo(then: number, now: number): string {
  // A clock that was set back must not make the past the future.
  const age = Math.max(now - then, 0)
  if (age < second) return 'just now'
  if (age < minute) return `${Math.floor(age / second)} s ago`
  if (age < hour) return `${Math.floor(age / minute)} min ago`
  if (age < day) return `${Math.floor(age / hour)} h ago`
  const days = Math.floor(age / day)
  return days === 1 ? '1 day ago' : `${days} days ago`
}

const integer = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })

/** `1,284`. */
export function formatNumber(count: number): string {
  return integer.format(count)
}

/** `1,284 requests`. */
export function formatCount(count: number, one: string, many = `${one}s`): string {
  return `${integer.format(count)} ${count === 1 ? one : many}`
}
