import { createDecipheriv, hkdfSync } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { hex } from '../bytes/index.ts'
import { cellHeaderSize, cellSize } from '../cell/index.ts'
import type { Crypto } from '../crypto/index.ts'
import { nobleCrypto } from '../crypto/noble.ts'
import { cheapAead, flipBit, pattern } from '../testing/index.ts'
import { epochCells, LayerCipher, layerBodySize, layerCapacity, layerOffset, layerSize } from './index.ts'

const key = pattern(32, 3)

/** Two ends of one direction. */
function pair(crypto: Crypto = nobleCrypto) {
  return {
    sender: new LayerCipher(crypto, Uint8Array.from(key)),
    receiver: new LayerCipher(crypto, Uint8Array.from(key)),
  }
}

function sealed(sender: LayerCipher, seed: number, length = 64): Uint8Array {
  const cell = pattern(length, seed)
  sender.seal(cell, 0, length)
  return cell
}

describe('sizes', () => {
  test('are those of docs/protocol.md: L_1 = 1019, L_{i+1} = L_i − 19, capacities 962 and 943', () => {
    expect(layerSize).toBe(19)
    expect([1, 2, 3, 4].map(layerBodySize)).toEqual([1019, 1000, 981, 962])
    expect([1, 2, 3, 4].map(layerCapacity)).toEqual([1000, 981, 962, 943])
    expect([1, 2, 3, 4].map(layerOffset)).toEqual([5, 24, 43, 62])
    expect(epochCells).toBe(65536)
  })

  test('every body ends where the cell ends, and each layer stands inside the one around it', () => {
    for (const depth of [1, 2, 3, 4]) {
      expect(layerOffset(depth) + layerBodySize(depth)).toBe(cellSize)
      expect(layerOffset(depth + 1)).toBe(layerOffset(depth) + layerSize)
    }
    expect(layerOffset(1)).toBe(cellHeaderSize)
  })
})

describe('LayerCipher', () => {
  test('opens what was sealed, in place, and touches nothing around it', () => {
    fc.assert(
      fc.property(fc.nat(100), fc.integer({ min: 16, max: 200 }), fc.nat(50), (before, length, after) => {
        const { sender, receiver } = pair()
        const whole = pattern(before + length + after)
        sender.seal(whole, before, before + length)
        expect(whole.subarray(0, before)).toEqual(pattern(before + length + after).subarray(0, before))
        expect(whole.subarray(before + length)).toEqual(pattern(before + length + after).subarray(before + length))
        expect(receiver.open(whole, before, before + length)).toBe(true)
        const open = whole.subarray(before + 16, before + length)
        expect(open).toEqual(pattern(before + length + after).subarray(before + 16, before + length))
      }),
    )
  })

  test('is ChaCha20-Poly1305 with the counter as nonce and no associated data', () => {
    const { sender } = pair()
    for (let counter = 0; counter < 300; counter++) {
      const cell = sealed(sender, 1)
      const nonce = Buffer.alloc(12)
      nonce.writeUInt32BE(counter, 8)
      const decipher = createDecipheriv('chacha20-poly1305', key, nonce, { authTagLength: 16 })
      decipher.setAuthTag(cell.subarray(0, 16))
      const plain = Buffer.concat([decipher.update(cell.subarray(16)), decipher.final()])
      expect(hex(plain)).toBe(hex(pattern(64, 1).subarray(16)))
    }
  })

  test('counts cells that were sealed or opened, and no others', () => {
    const { sender, receiver } = pair()
    const first = sealed(sender, 1)
    const second = sealed(sender, 2)
    expect(sender.counter).toBe(2)
    expect(receiver.open(second, 0, 64)).toBe(false)
    expect(receiver.counter).toBe(0)
    expect(receiver.open(first, 0, 64)).toBe(true)
    expect(receiver.counter).toBe(1)
  })

  test('refuses a cell with any bit turned over', () => {
    const { sender, receiver } = pair()
    const cell = sealed(sender, 1)
    for (let bit = 0; bit < cell.length * 8; bit++) expect(receiver.open(flipBit(cell, bit), 0, 64)).toBe(false)
    expect(receiver.open(cell, 0, 64)).toBe(true)
  })

  test('refuses a cell that is cut, or longer', () => {
    const { sender, receiver } = pair()
    const cell = sealed(sender, 1)
    const longer = new Uint8Array(65)
    longer.set(cell)
    expect(receiver.open(Uint8Array.from(cell), 0, 63)).toBe(false)
    expect(receiver.open(longer, 0, 65)).toBe(false)
    expect(receiver.open(Uint8Array.from(cell), 1, 64)).toBe(false)
  })

  test('refuses a cell a second time', () => {
    const { sender, receiver } = pair()
    const cell = sealed(sender, 1)
    expect(receiver.open(Uint8Array.from(cell), 0, 64)).toBe(true)
    for (let i = 0; i < 3; i++) expect(receiver.open(Uint8Array.from(cell), 0, 64)).toBe(false)
    expect(receiver.open(sealed(sender, 2), 0, 64)).toBe(true)
  })

  test('takes cells in the order of sealing and no other, whatever an attacker sends in between', () => {
    const { sender, receiver } = pair()
    const cells = Array.from({ length: 8 }, (_, index) => sealed(sender, index))
    let next = 0
    fc.assert(
      fc.property(fc.array(fc.nat(7), { maxLength: 20 }), (order) => {
        for (const index of order) {
          const good = receiver.open(Uint8Array.from(cells[index] as Uint8Array), 0, 64)
          expect(good).toBe(index === next)
          if (good) next += 1
        }
      }),
    )
  })

  test('seals the same cell differently each time, and differently under another key', () => {
    const { sender } = pair()
    const other = new LayerCipher(nobleCrypto, pattern(32, 4))
    const texts = [sealed(sender, 1), sealed(sender, 1), sealed(other, 1)].map(hex)
    expect(new Set(texts).size).toBe(3)
  })

  test('wipes its key', () => {
    const held = Uint8Array.from(key)
    new LayerCipher(nobleCrypto, held).destroy()
    expect(held).toEqual(new Uint8Array(32))
  })
})

describe('the ratchet', () => {
  /** With keys and nonces that were used noted, and nothing encrypted. */
  function watched() {
    const used: { key: string; nonce: string }[] = []
    const held: Uint8Array[] = []
    const crypto: Crypto = {
      ...nobleCrypto,
      aead: {
        ...cheapAead,
        seal(sealKey, nonce, associated, data, tag) {
          used.push({ key: hex(sealKey.subarray(0, 4)), nonce: hex(nonce) })
          if (held.at(-1) !== sealKey) held.push(sealKey)
          cheapAead.seal(sealKey, nonce, associated, data, tag)
        },
      },
    }
    return { crypto, used, held }
  }

  const nextKey = (from: Uint8Array) => {
    // HKDF-Expand alone: Node has no name for it, so it is one HMAC block, written down here.
    const block = nobleCrypto.hash.hmac(from, Uint8Array.of(...new TextEncoder().encode('ratchet'), 1))
    return Uint8Array.from(block)
  }

  test('takes a new key every 65536 cells and wipes the old one; both sides at once', () => {
    const { crypto, used, held } = watched()
    const { sender, receiver } = pair(crypto)
    const cell = new Uint8Array(32)
    const keys = [key, nextKey(key), nextKey(nextKey(key))]
    const mismatches: number[] = []
    for (let counter = 0; counter < 2 * epochCells + 10; counter++) {
      sender.seal(cell, 0, 32)
      if (!receiver.open(cell, 0, 32)) mismatches.push(counter)
    }
    expect(mismatches).toEqual([])
    expect(sender.counter).toBe(2 * epochCells + 10)
    expect(receiver.counter).toBe(2 * epochCells + 10)

    expect(held.length).toBe(3)
    expect(held.slice(0, 2).every((old) => old.every((byte) => byte === 0))).toBe(true)
    expect(hex(held[2] as Uint8Array)).toBe(hex(keys[2] as Uint8Array))
    for (const [counter, { key: usedKey, nonce }] of used.entries()) {
      const expectedKey = keys[Math.floor(counter / epochCells)] as Uint8Array
      if (usedKey === hex(expectedKey.subarray(0, 4)) && nonce === counter.toString(16).padStart(24, '0')) continue
      expect.fail(`cell ${counter} used key ${usedKey} and nonce ${nonce}`)
    }
  })

  test('never resets the nonce: the last cell of an epoch and the first of the next have consecutive ones', () => {
    const { crypto, used } = watched()
    const { sender } = pair(crypto)
    const cell = new Uint8Array(32)
    for (let counter = 0; counter <= epochCells; counter++) sender.seal(cell, 0, 32)
    expect(used.slice(-2).map(({ nonce }) => nonce)).toEqual(['00000000000000000000ffff', '000000000000000000010000'])
  })

  test('cannot be turned back: a cell of the last epoch is refused in the next', () => {
    const { crypto } = watched()
    const { sender, receiver } = pair(crypto)
    const cell = new Uint8Array(32)
    let last = cell
    for (let counter = 0; counter < epochCells; counter++) {
      sender.seal(cell, 0, 32)
      last = Uint8Array.from(cell)
      receiver.open(cell, 0, 32)
    }
    expect(receiver.open(last, 0, 32)).toBe(false)
  })

  test('gives with real encryption what the specification says', () => {
    const crypto: Crypto = { ...nobleCrypto, aead: cheapAead }
    const throughEpoch = new LayerCipher(crypto, Uint8Array.from(key))
    const cell = new Uint8Array(32)
    for (let counter = 0; counter < epochCells; counter++) throughEpoch.seal(cell, 0, 32)
    throughEpoch.seal(cell, 0, 32)
    const expected = nextKey(key)
    // The first block of HKDF-Expand is HMAC(PRK, info ‖ 1); checked against Node's full HKDF on a known extract.
    const prk = nobleCrypto.hash.hmac(new Uint8Array(32), key)
    const okm = new Uint8Array(hkdfSync('sha256', key, new Uint8Array(32), 'ratchet', 32))
    expect(hex(nextKey(prk))).toBe(hex(okm))
    expect(hex(cell.subarray(0, 4))).toBe(hex(expected.subarray(0, 4)))
  })
})
