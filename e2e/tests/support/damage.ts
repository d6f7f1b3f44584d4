/** Damage to chosen cells on a tapped link. */
import { type CellPart, cellCommand, cellSize, type Damage, type Direction, type Tap } from '../../src/network/index.ts'

/** Which cells: those of one circuit on the tap's link, in one direction. */
export interface Target {
  readonly tap: Tap
  readonly circuit: number
  readonly direction: Direction
}

export interface Harm {
  /** Cells that were harmed so far. */
  readonly count: number
}

/** Flips bits of the next RELAY cell: those set in `mask`, of the byte at `at` (0 to 4 is the header). */
export function flipNext(target: Target, at: number, mask: number): Harm {
  return once(target, ({ bytes, offset }) => {
    const index = at - offset
    if (index < 0 || index >= bytes.length) return false
    bytes[index] = (bytes[index] as number) ^ mask
    return true
  })
}

/** Cuts the link in the middle of the next RELAY cell. */
export function cutNext(target: Target): Harm {
  return once(target, () => 'cut')
}

/** Puts the first RELAY cell that passes in the place of the second. */
export function replayNext(target: Target): Harm {
  let first: Buffer | undefined
  return once(target, ({ bytes, offset }) => {
    if (offset !== 0 || bytes.length !== cellSize) return false
    if (first !== undefined) first.copy(bytes)
    const done = first !== undefined
    first = Buffer.from(bytes)
    return done
  })
}

/** Harms one cell, then leaves the link alone. `harm` says whether it has. */
function once(target: Target, harm: (part: CellPart) => boolean | 'cut'): Harm {
  const { tap, circuit, direction } = target
  const done = { count: 0 }
  const damage: Damage = (part, passing) => {
    const isTarget =
      passing === direction && part.header?.circuitId === circuit && part.header.command === cellCommand.relay
    if (!isTarget) return undefined
    const result = harm(part)
    if (result === false) return undefined
    done.count += 1
    tap.damage = undefined
    return result === 'cut' ? 'cut' : undefined
  }
  tap.damage = damage
  return done
}
