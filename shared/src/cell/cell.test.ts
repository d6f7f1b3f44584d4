import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { concat, readU16, u16 } from '../bytes/index.ts'
import { helloSize, replySize } from '../handshake/index.ts'
import { limits } from '../limits.ts'
import { codeOf, pattern } from '../testing/index.ts'
import {
  bodyOf,
  cellBodySize,
  cellHeaderSize,
  cellSize,
  circuitIdOf,
  command,
  commandOf,
  decodeDestroy,
  decodeGoaway,
  destroyCell,
  freshCircuitId,
  goawayCell,
  HandshakeAssembler,
  handshakeCells,
  makeCell,
  noCircuit,
  splitHandshake,
  writeHeader,
} from './index.ts'

const aCell = fc.uint8Array({ minLength: cellSize, maxLength: cellSize })

test('sizes are those of docs/protocol.md', () => {
  expect([cellSize, cellHeaderSize, cellBodySize]).toEqual([1024, 5, 1019])
  expect(command).toEqual({ padding: 0, create: 1, created: 2, relay: 3, destroy: 4, goaway: 5, puzzle: 6 })
})

describe('header', () => {
  test('circuit id and command come back, and the fill is zero', () => {
    const aBody = fc.uint8Array({ maxLength: cellBodySize })
    fc.assert(
      fc.property(fc.nat(0xffffffff), fc.nat(6), aBody, (id, cellCommand, body) => {
        const cell = makeCell(id, cellCommand, body)
        expect(cell.length).toBe(cellSize)
        expect(circuitIdOf(cell)).toBe(id)
        expect(commandOf(cell)).toBe(cellCommand)
        expect(bodyOf(cell).subarray(0, body.length)).toEqual(body)
        expect(bodyOf(cell).subarray(body.length)).toEqual(new Uint8Array(cellBodySize - body.length))
      }),
    )
  })

  test('is written without touching the body, whatever was there before', () => {
    const cell = new Uint8Array(cellSize).fill(0xaa)
    writeHeader(cell, 0xfedcba98, command.relay)
    expect(circuitIdOf(cell)).toBe(0xfedcba98)
    expect(bodyOf(cell)).toEqual(new Uint8Array(cellBodySize).fill(0xaa))
  })

  test('every unknown command is refused', () => {
    for (let value = 7; value < 256; value++) {
      const cell = makeCell(1, value, new Uint8Array(0))
      expect(codeOf(() => commandOf(cell))).toBe('protocol-violation')
    }
  })

  test('a body that is too large is never cut', () => {
    expect(() => makeCell(1, command.relay, new Uint8Array(cellBodySize + 1))).toThrow(RangeError)
  })
})

describe('DESTROY', () => {
  test('carries its reason', () => {
    for (const reason of [0, 1, 255]) {
      const cell = destroyCell(9, reason)
      expect([circuitIdOf(cell), commandOf(cell), decodeDestroy(cell)]).toEqual([9, command.destroy, reason])
    }
  })

  test('with anything else in it is refused, wherever it is', () => {
    for (let index = 1; index < cellBodySize; index += 7) {
      const cell = destroyCell(9, 3)
      bodyOf(cell)[index] = 1
      expect(codeOf(() => decodeDestroy(cell))).toBe('protocol-violation')
    }
    const last = destroyCell(9, 3)
    last[cellSize - 1] = 0x80
    expect(codeOf(() => decodeDestroy(last))).toBe('protocol-violation')
  })
})

describe('GOAWAY', () => {
  test('carries its seconds, at most what fits', () => {
    for (const [seconds, told] of [
      [0, 0],
      [300, 300],
      [0xffff, 0xffff],
      [100_000, 0xffff],
    ] as const) {
      const cell = goawayCell(seconds)
      expect([circuitIdOf(cell), commandOf(cell), decodeGoaway(cell)]).toEqual([noCircuit, command.goaway, told])
    }
  })

  test('with anything else in it is refused', () => {
    for (const index of [2, 3, 500, cellBodySize - 1]) {
      const cell = goawayCell(30)
      bodyOf(cell)[index] = 1
      expect(codeOf(() => decodeGoaway(cell))).toBe('protocol-violation')
    }
  })
})

test('arbitrary cells give a value or a violation', () => {
  fc.assert(
    fc.property(aCell, (cell) => {
      for (const decode of [commandOf, decodeDestroy, decodeGoaway, circuitIdOf]) {
        expect([undefined, 'protocol-violation']).toContain(codeOf(() => decode(cell)))
      }
    }),
  )
})

test('a fresh circuit id is neither 0 nor taken', () => {
  const drawn = [0, 5, 6, 7].map((id) => Uint8Array.of(0, 0, 0, id))
  expect(
    freshCircuitId(
      () => drawn.shift() as Uint8Array,
      (id) => id === 5 || id === 6,
    ),
  ).toBe(7)
  expect(
    freshCircuitId(
      () => Uint8Array.of(0xff, 0xff, 0xff, 0xff),
      () => false,
    ),
  ).toBe(0xffffffff)
})

describe('handshake messages', () => {
  const aMessage = fc.uint8Array({ minLength: 1, maxLength: limits.handshakeBytes })

  function assemble(parts: readonly Uint8Array[]): (Uint8Array | undefined)[] {
    const assembler = new HandshakeAssembler()
    return parts.map((part) => assembler.push(part))
  }

  test('come back from their cells, with the last part and not before', () => {
    fc.assert(
      fc.property(aMessage, (message) => {
        const cells = handshakeCells(7, command.create, message)
        expect(cells.length).toBe(Math.ceil(message.length / (cellBodySize - 2)))
        for (const cell of cells) expect([circuitIdOf(cell), commandOf(cell)]).toEqual([7, command.create])
        const results = assemble(cells.map(bodyOf))
        expect(results.pop()).toEqual(message)
        expect(results.every((result) => result === undefined)).toBe(true)
      }),
    )
  })

  test('come back from parts of any capacity', () => {
    fc.assert(
      fc.property(aMessage, fc.integer({ min: 3, max: 1000 }), (message, capacity) => {
        const parts = splitHandshake(message, capacity)
        expect(parts.every((part) => part.length <= capacity && readU16(part, 0) === message.length)).toBe(true)
        expect(assemble(parts).pop()).toEqual(message)
      }),
    )
  })

  test('hello and reply take two cells each', () => {
    expect(handshakeCells(1, command.create, pattern(helloSize)).length).toBe(2)
    expect(handshakeCells(1, command.created, pattern(replySize)).length).toBe(2)
  })

  test('are a copy: the cell may be overwritten', () => {
    const parts = splitHandshake(pattern(1500), 1019)
    const assembler = new HandshakeAssembler()
    let whole: Uint8Array | undefined
    for (const part of parts) {
      whole = assembler.push(part)
      part.fill(0)
    }
    expect(whole).toEqual(pattern(1500))
  })

  test.each([
    ['without a length', new Uint8Array(0)],
    ['with half a length', Uint8Array.of(0)],
    ['without a byte of the message', u16(10)],
    ['of length 0', new Uint8Array(cellBodySize)],
    ['of one byte more than the limit', concat(u16(limits.handshakeBytes + 1), pattern(100))],
    ['of the largest length that can be said', concat(u16(0xffff), pattern(1017))],
    ['with fill that is not zero', concat(u16(4), pattern(4), Uint8Array.of(0, 0, 1))],
    ['with a second message behind the first', concat(u16(4), pattern(4), u16(4), pattern(4))],
  ])('a part %s is refused', (_, part) => {
    expect(codeOf(() => new HandshakeAssembler().push(part))).toBe('protocol-violation')
  })

  test('a length that changes on the way is refused, longer or shorter', () => {
    for (const second of [1499, 1501, 1]) {
      const assembler = new HandshakeAssembler()
      assembler.push(concat(u16(1500), pattern(1017)))
      expect(codeOf(() => assembler.push(concat(u16(second), pattern(483))))).toBe('protocol-violation')
    }
  })

  test('an assembler is for one message: whatever comes behind it is refused, its own last part too', () => {
    const parts = splitHandshake(pattern(1500), 1019)
    for (const extra of [...parts, concat(u16(1500), new Uint8Array(1017))]) {
      const assembler = new HandshakeAssembler()
      for (const part of parts) assembler.push(part)
      expect(codeOf(() => assembler.push(extra))).toBe('protocol-violation')
    }
  })

  test('parts exchanged or repeated give another message or a violation, never a longer one', () => {
    const [first, second] = splitHandshake(pattern(1500), 1019) as [Uint8Array, Uint8Array]
    const padded = concat(second, new Uint8Array(1019 - second.length))
    for (const parts of [
      [padded, first],
      [first, first],
    ]) {
      let results: (Uint8Array | undefined)[] = []
      const code = codeOf(() => (results = assemble(parts)))
      expect(code ?? results.pop()?.length).toSatisfy((seen) => seen === 'protocol-violation' || seen === 1500)
    }
  })

  test('any parts end in a message within the limit or a violation, and after a bounded number of them', () => {
    const aPart = fc.oneof(
      fc.uint8Array({ maxLength: cellBodySize }),
      fc
        .tuple(fc.constantFrom(1, 5, 1500, limits.handshakeBytes), fc.uint8Array({ minLength: 1, maxLength: 40 }))
        .map(([total, bytes]) => concat(u16(total), bytes)),
    )
    fc.assert(
      fc.property(fc.array(aPart, { maxLength: 50 }), (parts) => {
        const assembler = new HandshakeAssembler()
        for (const part of parts) {
          let message: Uint8Array | undefined
          const code = codeOf(() => (message = assembler.push(part)))
          expect([undefined, 'protocol-violation']).toContain(code)
          if (message !== undefined) expect(message.length).toBeLessThanOrEqual(limits.handshakeBytes)
          if (code !== undefined || message !== undefined) return
        }
      }),
    )
    // The slowest sender there can be: one byte per part.
    const slow = new HandshakeAssembler()
    const part = concat(u16(limits.handshakeBytes), Uint8Array.of(1))
    for (let i = 1; i < limits.handshakeBytes; i++) expect(slow.push(part)).toBeUndefined()
    expect(slow.push(part)?.length).toBe(limits.handshakeBytes)
  })
})
