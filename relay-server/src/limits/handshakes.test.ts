import { concat, u32 } from '@nightjar/shared/bytes'
import {
  type Challenge,
  encodeCreate,
  helloSize,
  leadingZeroBits,
  puzzleProof,
  type Solution,
} from '@nightjar/shared/handshake'
import { minute, second } from '@nightjar/shared/runtime'
import { codeOf, FakeClock, pattern } from '@nightjar/shared/testing'
import { nativeCrypto as crypto } from '@nightjar/shared-node/crypto'
import { beforeEach, describe, expect, test } from 'vitest'
import { HandshakeGate, type LinkHandshakes } from './handshakes.ts'
import { limits } from './limits.ts'
import type { Refusal } from './refusal.ts'

const perSecond = 100
const burst = limits.handshakesPerLinkAtOnce
let clock: FakeClock
let refusals: Refusal[]
let gate: HandshakeGate
let hellos = 0

beforeEach(() => {
  clock = new FakeClock()
  refusals = []
  gate = new HandshakeGate({ crypto, clock, perSecond, onRefused: (refusal) => void refusals.push(refusal) })
})

function freshHello(): Uint8Array {
  hellos += 1
  return concat(u32(hellos), pattern(helloSize - 4))
}

/** The challenge that a hello gets, or undefined where it is answered. */
function ask(link: LinkHandshakes, message = freshHello()): Challenge | undefined {
  const verdict = link.admit(message)
  return 'challenge' in verdict ? verdict.challenge : undefined
}

/** How many of `count` hellos are answered. */
const answeredOf = (link: LinkHandshakes, count: number) =>
  Array.from({ length: count }, () => ask(link)).filter((challenge) => challenge === undefined).length

/** A link that has used its allowance up; the load is gone again afterwards. */
function spent(): LinkHandshakes {
  const generous = new HandshakeGate({ ...gate.options, perSecond: 1e9 })
  gate = generous
  const link = generous.link()
  expect(answeredOf(link, burst)).toBe(burst)
  return link
}

function solve({ difficulty, seed }: Challenge, hello: Uint8Array): Solution {
  for (let nonce = 0; ; nonce++) {
    if (leadingZeroBits(puzzleProof(crypto.hash, seed, hello, nonce)) >= difficulty) return { difficulty, nonce }
  }
}

/** `hello` with the solution of the challenge that it got. */
function solved(link: LinkHandshakes, hello = freshHello()): Uint8Array {
  return encodeCreate(hello, solve(ask(link, hello) as Challenge, hello))
}

describe('without load', () => {
  test('hellos are answered as they came, up to what a link may have', () => {
    const link = spent()
    const hello = freshHello()
    expect(ask(link)?.difficulty).toBe(limits.leastPuzzleBits)
    expect(refusals).toEqual(['puzzle-set'])
    clock.advance(second)
    expect(answeredOf(link, limits.handshakesPerLink + 5)).toBe(limits.handshakesPerLink)
    expect(gate.link().admit(hello)).toEqual({ hello })
  })

  test('what is no CREATE is no business of the gate', () => {
    expect(codeOf(() => gate.link().admit(pattern(helloSize + 1)))).toBe('protocol-violation')
  })
})

describe('under load', () => {
  test('a flood is answered with puzzles, harder with the load, and links that asked for little are served', () => {
    const flood = Array.from({ length: 20 }, () => gate.link())
    const quiet = gate.link()
    let answered = 0
    let served = 0
    const difficulties = new Set<number>()
    for (let time = 0; time < 20 * second; time += 10) {
      clock.advance(10)
      for (const link of flood) {
        const challenge = ask(link)
        if (challenge === undefined) answered += 1
        else difficulties.add(challenge.difficulty)
      }
      if (time % second === 0 && ask(quiet) === undefined) served += 1
    }
    // 2,000 a second were asked for. What is answered is near what the process is meant to answer.
    expect(answered / 20).toBeLessThan(3 * perSecond)
    expect(served).toBe(20)
    expect(Math.min(...difficulties)).toBeGreaterThan(limits.leastPuzzleBits)
  })

  test('the difficulty follows the load, and has an end', () => {
    const seen = [1, 2, 4, 8, 1000].map((load) => {
      const loaded = new HandshakeGate(gate.options)
      for (let count = 0; count < load * perSecond; count++) loaded.countAnswered()
      return loaded.difficulty
    })
    const least = limits.leastPuzzleBits
    expect(seen).toEqual([least, least + 2, least + 4, limits.puzzleBits, limits.puzzleBits])
  })

  test('a link through which no puzzle can be solved is served a little, however high the load', () => {
    const link = gate.link()
    for (let count = 0; count < 1000 * perSecond; count++) gate.countAnswered()
    expect([answeredOf(link, 3), answeredOf(gate.link(), 3)]).toEqual([1, 1])
  })

  test("is as high when the machine's clock is set", () => {
    for (let count = 0; count < 2 * perSecond; count++) gate.countAnswered()
    clock.set(minute)
    expect(gate.load).toBe(2)
    clock.set(-2 * minute)
    expect(gate.load).toBe(2)
  })

  test('is over when it is over', () => {
    for (let count = 0; count < 4 * perSecond; count++) gate.countAnswered()
    expect(gate.price).toBe(256)
    clock.advance(2 * second)
    expect([gate.price, gate.difficulty]).toEqual([1, limits.leastPuzzleBits])
  })
})

describe('a solution', () => {
  test('has its hello answered', () => {
    const link = spent()
    const hello = freshHello()
    expect(link.admit(solved(link, hello))).toEqual({ hello })
  })

  test('is good once', () => {
    const link = spent()
    const message = solved(link)
    expect(ask(link, message)).toBeUndefined()
    expect(ask(link, message)).toBeDefined()
    expect(ask(link, message)).toBeDefined()
    expect(refusals).toEqual(['puzzle-set', 'puzzle-replayed', 'puzzle-replayed'])
  })

  test('is good until the end of the next window, and not once more in it', () => {
    clock.advance(limits.puzzleWindow - (clock.elapsed() % limits.puzzleWindow))
    const link = spent()
    const early = solved(link)
    const late = solved(link)
    const tooLate = solved(link)
    clock.advance(limits.puzzleWindow - 1)
    expect(ask(link, early)).toBeUndefined()
    const other = solvedAfresh(link)
    clock.advance(limits.puzzleWindow)
    expect([ask(link, late), ask(link, other)]).toEqual([undefined, undefined])
    answeredOf(link, burst + limits.handshakesPerLink)
    expect(ask(link, early)).toBeDefined()
    expect(ask(link, other)).toBeDefined()
    clock.advance(1)
    expect(ask(link, tooLate)).toBeDefined()
    expect(refusals.slice(-3)).toEqual(['puzzle-replayed', 'puzzle-replayed', 'puzzle-unsolved'])

    /** As `solved`, on a link whose allowance has come back meanwhile. */
    function solvedAfresh(its: LinkHandshakes): Uint8Array {
      answeredOf(its, burst)
      return solved(its)
    }
  })

  test('of another link, of another relay, or for another hello is none', () => {
    const link = spent()
    const message = solved(link)
    const other = gate.link()
    answeredOf(other, burst)
    expect(ask(other, message)).toBeDefined()
    const stolen = concat(freshHello(), message.subarray(helloSize))
    expect(ask(link, stolen)).toBeDefined()
    const elsewhere = spent()
    expect(ask(elsewhere, message)).toBeDefined()
    expect(refusals.filter((refusal) => refusal === 'puzzle-unsolved')).toHaveLength(3)
  })

  test('cannot be made cheaper by saying that less was asked for', () => {
    const link = spent()
    const { seed } = ask(link) as Challenge
    for (let difficulty = 1; difficulty < limits.leastPuzzleBits; difficulty++) {
      for (let times = 0; times < 20; times++) {
        const hello = freshHello()
        expect(
          ask(link, encodeCreate(hello, solve({ difficulty: Math.min(difficulty, 8), seed }, hello))),
        ).toBeDefined()
      }
    }
  })

  test('of quiet times is none once much more is asked for', () => {
    gate = new HandshakeGate({ ...gate.options, perSecond: 1000 })
    const link = gate.link()
    expect(answeredOf(link, burst)).toBe(burst)
    const [slightly, much] = [solved(link), solved(link)]
    const raise = (load: number) => {
      while (gate.load < load) gate.countAnswered()
      return gate.difficulty - limits.leastPuzzleBits
    }
    expect([raise(1.9), ask(link, slightly)]).toEqual([limits.puzzleLag, undefined])
    expect([raise(2.5), ask(link, much)?.difficulty]).toEqual([3, limits.leastPuzzleBits + 3])
    expect(refusals.at(-1)).toBe('puzzle-unsolved')
  })

  test('is remembered for so many of one link, and beyond that none is taken', () => {
    const link = spent()
    // A hash that makes everything a solution: this is about memory.
    const hash = {
      ...crypto.hash,
      sha256: (data: Uint8Array) => Uint8Array.from(crypto.hash.sha256(data)).fill(0, 0, 3),
    }
    gate = new HandshakeGate({ ...gate.options, perSecond, crypto: { ...crypto, hash } })
    const any = gate.link()
    expect(ask(link)).toBeDefined()
    const create = () => encodeCreate(freshHello(), { difficulty: limits.puzzleBits, nonce: 1 })
    const taken = Array.from({ length: limits.solutionsPerLink + burst + 1 }, () => ask(any, create()))
    expect(taken.slice(0, limits.solutionsPerLink).every((challenge) => challenge === undefined)).toBe(true)
    expect(taken.at(-1)).toBeDefined()
    expect(refusals).toContain('puzzle-solutions')
  })
})
