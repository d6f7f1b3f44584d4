/** How fast the host seals cells in three layers, beside the bare AEAD calls on buffers of the same sizes. */
import { cellSize } from '@nightjar/shared/cell'
import { LayerCipher, layerCapacity, layerOffset, messageType, writeMessage } from '@nightjar/shared/circuit'
import { type Crypto, size } from '@nightjar/shared/crypto'

const hops = 3
const rounds = 7
const cellsPerRound = 60_000

export interface SealResult {
  readonly cellsPerS: number
  readonly limitCellsPerS: number
}

/** Rounds alternate between the two, so that a slow moment of the machine meets both; the medians are reported. */
export function measureSealing(crypto: Crypto): SealResult {
  const layered: number[] = []
  const bare: number[] = []
  const sealLayered = layeredSealer(crypto)
  const sealBare = bareSealer(crypto)
  for (let round = -1; round < rounds; round++) {
    const [a, b] = [cellsPerSecond(sealLayered), cellsPerSecond(sealBare)]
    // The first round only warms up.
    if (round < 0) continue
    layered.push(a)
    bare.push(b)
  }
  return { cellsPerS: median(layered), limitCellsPerS: median(bare) }
}

/** What a client does for each cell: writes the message, then seals from the innermost layer outwards. */
function layeredSealer(crypto: Crypto): () => void {
  const ciphers = Array.from({ length: hops }, () => new LayerCipher(crypto, crypto.randomBytes(size.key)))
  const cell = new Uint8Array(cellSize)
  const inner = layerOffset(hops + 1)
  const data = crypto.randomBytes(layerCapacity(hops) - 5)
  return () => {
    writeMessage(cell, inner, messageType.data, 1, data)
    for (let depth = hops; depth > 0; depth--) {
      const offset = layerOffset(depth)
      cell.fill(0, offset + size.tag, offset + size.tag + 3)
      ;(ciphers[depth - 1] as LayerCipher).seal(cell, offset, cellSize)
    }
  }
}

function bareSealer(crypto: Crypto): () => void {
  const key = crypto.randomBytes(size.key)
  const nonce = crypto.randomBytes(size.nonce)
  const nothing = new Uint8Array(0)
  const cell = new Uint8Array(cellSize)
  const layers = Array.from({ length: hops }, (_, index) => {
    const offset = layerOffset(index + 1)
    return { tag: cell.subarray(offset, offset + size.tag), data: cell.subarray(offset + size.tag) }
  }).reverse()
  return () => {
    for (const { data, tag } of layers) crypto.aead.seal(key, nonce, nothing, data, tag)
  }
}

function cellsPerSecond(seal: () => void): number {
  const begun = performance.now()
  for (let i = 0; i < cellsPerRound; i++) seal()
  return (cellsPerRound * 1000) / (performance.now() - begun)
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[Math.floor(values.length / 2)] as number
}
