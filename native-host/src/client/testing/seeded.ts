/** Chance that is the same on every run. */
import { freshState, type State } from '../../state/store.ts'

/** mulberry32: small, and the same on every run. */
export function seeded(seed: number): () => number {
  let a = seed
  return () => {
    a = (a + 0x6d2b79f5) | 0
    let t = Math.imul(a ^ (a >>> 15), 1 | a)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

/** A state with a secret that follows from `seed`. */
export function stateOf(seed = 1): State {
  const random = seeded(seed)
  return freshState((length) => Uint8Array.from({ length }, () => Math.floor(random() * 256)))
}
