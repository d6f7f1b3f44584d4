import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { concat, u32 } from '../bytes/index.ts'
import { command, decodePuzzle, makeCell, puzzleCell } from '../cell/index.ts'
import { nobleCrypto } from '../crypto/noble.ts'
import { limits } from '../limits.ts'
import { codeOf, codeOfAsync, flipBit, pattern, turn } from '../testing/index.ts'
import {
  decodeCreate,
  encodeCreate,
  helloSize,
  leadingZeroBits,
  puzzleProof,
  type Solution,
  solutionSize,
  solvePuzzle,
} from './index.ts'

const { hash } = nobleCrypto
const hello = pattern(helloSize)
const seed = pattern(32, 5)

/** A clock of which the test runs each timer. */
function steppedClock() {
  const actions: (() => void)[] = []
  const after = (_: number, action: () => void) => {
    actions.push(action)
    return { cancel() {} }
  }
  const step = () => {
    actions.shift()?.()
    return turn()
  }
  return { now: () => 0, elapsed: () => 0, after, step, actions }
}

async function solve(difficulty: number): Promise<Solution> {
  const clock = steppedClock()
  const result = solvePuzzle(hash, clock, { difficulty, seed }, hello, () => true)
  await turn()
  while (clock.actions.length > 0) await clock.step()
  return result
}

const bitsOf = ({ nonce }: Solution, its = hello, its2 = seed) => leadingZeroBits(puzzleProof(hash, its2, its, nonce))

describe('CREATE', () => {
  test('is a hello alone, as it always was', () => {
    expect(decodeCreate(hello)).toEqual({ hello, solution: undefined })
  })

  test('carries a solution behind the hello, and nothing else', () => {
    const nonces = fc.integer({ min: 0, max: 0xffffffff })
    fc.assert(
      fc.property(fc.integer({ min: 1, max: limits.puzzleBits }), nonces, (difficulty, nonce) => {
        const message = encodeCreate(hello, { difficulty, nonce })
        expect(message.length).toBe(helloSize + solutionSize)
        expect(decodeCreate(message)).toEqual({ hello, solution: { difficulty, nonce } })
      }),
    )
    expect(encodeCreate(hello, { difficulty: 7, nonce: 0x01020304 })).toEqual(
      concat(hello, Uint8Array.of(7, 1, 2, 3, 4)),
    )
  })

  test('of another length, or with a difficulty that nobody may ask for, is refused', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: limits.handshakeBytes }), (length) => {
        if (length === helloSize || length === helloSize + solutionSize) return
        expect(codeOf(() => decodeCreate(pattern(length)))).toBe('protocol-violation')
      }),
    )
    for (const difficulty of [0, limits.puzzleBits + 1, 255]) {
      expect(codeOf(() => decodeCreate(encodeCreate(hello, { difficulty, nonce: 1 })))).toBe('protocol-violation')
    }
  })
})

describe('PUZZLE', () => {
  test('carries difficulty and seed', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: limits.puzzleBits }),
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        (difficulty, any) => {
          expect(decodePuzzle(puzzleCell(7, { difficulty, seed: any }))).toEqual({ difficulty, seed: any })
        },
      ),
    )
  })

  test('with anything else is refused, whatever it is', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1019, maxLength: 1019 }), (body) => {
        const isGood =
          (body[0] as number) > 0 && (body[0] as number) <= limits.puzzleBits && body.slice(33).every((b) => b === 0)
        const code = codeOf(() => decodePuzzle(makeCell(7, command.puzzle, body)))
        expect(code).toBe(isGood ? undefined : 'protocol-violation')
      }),
    )
  })
})

describe('a solution', () => {
  test('has at least the bits that were asked for, and is that of the first nonce that has them', async () => {
    for (const difficulty of [1, 4, 8, 11]) {
      const solution = await solve(difficulty)
      expect(solution.difficulty).toBe(difficulty)
      expect(bitsOf(solution)).toBeGreaterThanOrEqual(difficulty)
      for (let nonce = 0; nonce < solution.nonce; nonce++)
        expect(bitsOf({ difficulty, nonce })).toBeLessThan(difficulty)
    }
  })

  test('is of SHA-256 as the specification says, which anybody can check', () => {
    const base = hash.sha256(concat(new TextEncoder().encode('nightjar-1 puzzle'), seed, hello))
    expect(puzzleProof(hash, seed, hello, 9)).toEqual(hash.sha256(concat(base, u32(9))))
  })

  test('is worth nothing for another hello or another seed', async () => {
    const solution = await solve(12)
    expect(bitsOf(solution, flipBit(hello, 9))).toBeLessThan(12)
    expect(bitsOf(solution, hello, flipBit(seed, 9))).toBeLessThan(12)
  })
})

test('leading zero bits are counted over the whole proof', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 256 }), (bits) => {
      const bytes = new Uint8Array(32)
      if (bits < 256) bytes[bits >> 3] = 0x80 >> (bits & 7)
      expect(leadingZeroBits(bytes)).toBe(bits)
    }),
  )
})

describe('solving', () => {
  test('lets others run, every thousand tries', async () => {
    const { nonce } = await solve(15)
    expect(nonce).toBeGreaterThan(2048)
    const clock = steppedClock()
    let hashes = 0
    const sha256 = (data: Uint8Array) => {
      hashes += 1
      return hash.sha256(data)
    }
    const result = solvePuzzle({ ...hash, sha256 }, clock, { difficulty: 15, seed }, hello, () => true)
    for (let slices = 1; slices <= Math.floor(nonce / 1024); slices++) {
      expect(hashes).toBe(1 + slices * 1024)
      await clock.step()
    }
    expect((await result).nonce).toBe(nonce)
  })

  test('stops once it is not wanted any more', async () => {
    const clock = steppedClock()
    let isWanted = true
    const result = codeOfAsync(() => solvePuzzle(hash, clock, { difficulty: 18, seed }, hello, () => isWanted))
    await clock.step()
    isWanted = false
    await clock.step()
    expect(await result).toBe('cancelled')
    expect(clock.actions).toEqual([])
  })
})
