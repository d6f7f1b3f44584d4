/** Phases of the moon, as outlines of its lit part. */

export interface MoonState {
  /** Part of the disc that is lit, 0 to 1. */
  readonly lit: number
  readonly eclipsed?: boolean
}

export const radius = 50
/** Length of the handles that make four cubic curves look like a circle. */
const handle = radius * 0.5523

/**
 * The lit part, from the right limb to the terminator. Always the same four curves, so that CSS can move from one phase
 * to the next.
 */
export function litPath(lit: number): string {
  const edge = round(radius * (1 - 2 * lit))
  const bend = round(handle * (1 - 2 * lit))
  const h = round(handle)
  return [
    `M0 ${-radius}`,
    `C${h} ${-radius} ${radius} ${-h} ${radius} 0`,
    `C${radius} ${h} ${h} ${radius} 0 ${radius}`,
    `C${bend} ${radius} ${edge} ${h} ${edge} 0`,
    `C${edge} ${-h} ${bend} ${-radius} 0 ${-radius}Z`,
  ].join('')
}

function round(length: number): number {
  return Math.round(length * 100) / 100
}
