/** Cells by number, so that a test sees which of them came, and in what order. */
import { command, makeCell } from '@nightjar/shared/cell'
import { keptCircuit } from './peers.ts'

export function cell(index: number): Uint8Array {
  return makeCell(keptCircuit, command.relay, Uint8Array.of(index >> 8, index))
}

export const indexOf = (bytes: Uint8Array) => ((bytes[5] as number) << 8) | (bytes[6] as number)
export const range = (count: number) => Array.from({ length: count }, (_, index) => index)
