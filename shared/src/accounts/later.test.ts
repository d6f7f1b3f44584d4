import { beforeEach, describe, expect, it } from 'vitest'
import { NightjarError } from '../errors/index.ts'
import type { Outcome } from '../rpc/index.ts'
import { hour, minute, second } from '../runtime.ts'
import { FakeClock } from '../testing/index.ts'
import { defaultSettings } from './context.ts'
import { Later, type Question } from './later.ts'

let clock: FakeClock
/** What is drawn next; then halves. */
let drawn: number[]
/** When which part was asked, in seconds from the start. */
let asked: string[]
let coldSpread: number
let later: Later
let start: number

beforeEach(() => {
  clock = new FakeClock()
  drawn = []
  asked = []
  coldSpread = 30 * minute
  start = clock.now()
  later = new Later({ clock, random: () => drawn.shift() ?? 0.5, settings: () => ({ ...defaultSettings, coldSpread }) })
})

const revert: Outcome = { error: { code: 3, message: 'execution reverted' } }
const now = () => (clock.now() - start) / second

function questionOf(names: string, answer: (name: string) => Outcome | Promise<Outcome> = () => ({ result: now() })) {
  const parts = names.split('').map((name) => async () => {
    asked.push(`${name} ${now()}`)
    return answer(name)
  })
  // As results of several parts are joined: all, or the first error.
  const join: Question['join'] = (outcomes) =>
    outcomes.find((outcome) => 'error' in outcome) ?? {
      result: outcomes.map((outcome) => ('result' in outcome ? outcome.result : null)),
    }
  return { parts, join }
}

/** The outcome, or `still-apart` with its seconds. */
async function ask(key: string, question: Question, otherwise?: number, site = 'site'): Promise<Outcome | string> {
  try {
    return await later.ask(site, key, question, otherwise)
  } catch (error) {
    if (!(error instanceof NightjarError)) throw error
    const { code, facts } = error
    return `${code} ${facts?.seconds}`
  }
}

describe('what is put off', () => {
  it('is asked once, each part at a random time of its own, and its outcome given until it is old', async () => {
    drawn = [0.1, 0.8, 0.4]
    const question = questionOf('abc')
    expect(await ask('x', question)).toBe('still-apart 1')
    expect(await ask('x', question)).toBe('still-apart 1440')
    await clock.elapse(10 * minute)
    expect(await ask('x', question)).toBe('still-apart 840')
    await clock.elapse(14 * minute)
    expect(asked).toEqual(['a 180', 'c 720', 'b 1440'])
    expect(await ask('x', question)).toEqual({ result: [180, 1440, 720] })
    await clock.elapse(5 * minute)
    expect(await ask('x', question)).toEqual({ result: [180, 1440, 720] })
    expect(asked).toHaveLength(3)
  })

  it('is asked anew when it is as old as askings take, and given meanwhile until it is twice as old', async () => {
    drawn = [0.5, 0.9]
    const question = questionOf('a')
    await ask('x', question)
    await ask('x', question)
    await clock.elapse(31 * minute)
    expect(await ask('x', question)).toEqual({ result: [900] })
    // It began at 31 minutes, and takes 27.
    await clock.elapse(26 * minute)
    expect(await ask('x', question)).toEqual({ result: [900] })
    await clock.elapse(1 * minute)
    expect(await ask('x', question)).toEqual({ result: [58 * 60] })
    expect(asked).toEqual(['a 900', 'a 3480'])
    // Put off at 31 minutes, it is too old at 91.
    drawn = [0.99]
    await clock.elapse(32.5 * minute)
    expect(await ask('x', question)).toEqual({ result: [58 * 60] })
    await clock.elapse(0.5 * minute)
    expect(await ask('x', question)).toBe('still-apart 1752')
  })

  it('is not asked where nobody asks for it a second time', async () => {
    for (let block = 0; block < 100; block++)
      expect(await ask(`block ${block}`, questionOf('ab'))).toBe('still-apart 1')
    await clock.elapse(hour)
    expect(asked).toEqual([])
  })

  it('is waited for where it is about to come, by all who ask', async () => {
    drawn = [20 / 1800]
    const question = questionOf('a')
    await ask('x', question)
    const both = Promise.all([ask('x', question), ask('x', question)])
    await clock.elapse(20 * second)
    expect(await both).toEqual([{ result: [20] }, { result: [20] }])
    expect(asked).toEqual(['a 20'])
  })

  it('is waited for at once where all of it comes soon', async () => {
    coldSpread = 20 * second
    const answer = ask('x', questionOf('a'))
    await clock.elapse(10 * second)
    expect(await answer).toEqual({ result: [10] })
  })

  it('is worth asking for again earlier where there is another way', async () => {
    await ask('x', questionOf('a'))
    expect(await ask('x', questionOf('a'), 7 * second)).toBe('still-apart 7')
  })

  it('has one outcome for each who asks', async () => {
    const question = questionOf('a')
    for (const key of ['x', 'x', 'y']) await ask(key, question)
    await clock.elapse(hour / 2)
    expect(await ask('x', question)).toEqual({ result: [900] })
    expect(await ask('y', question)).toBe('still-apart 900')
  })
})

describe('an error', () => {
  it('of one part is the whole’s; it is told once, and all is asked anew', async () => {
    const failing = questionOf('ab', (name) => (name === 'b' ? revert : { result: '0x' }))
    for (let each = 0; each < 2; each++) await ask('x', failing)
    await clock.elapse(20 * minute)
    expect(await ask('x', failing)).toEqual(revert)
    expect(await ask('x', questionOf('ab'))).toBe('still-apart 900')
    await clock.elapse(15 * minute)
    expect(await ask('x', failing)).toEqual({ result: [2100, 2100] })
    expect(asked).toHaveLength(4)
  })

  it('that somebody waited for is not told again', async () => {
    coldSpread = 10 * second
    const failing = questionOf('a', () => Promise.reject(new Error('a bug')))
    const told = ask('x', failing)
    await clock.elapse(5 * second)
    expect(await told).toMatchObject({ error: { data: { nightjar: 'internal' } } })
    const next = ask('x', questionOf('a'))
    await clock.elapse(5 * second)
    expect(await next).toEqual({ result: [10] })
  })

  it('does not take the place of an answer that is young enough', async () => {
    const question = questionOf('a')
    for (let each = 0; each < 2; each++) await ask('x', question)
    await clock.elapse(31 * minute)
    const failing = questionOf('a', () => revert)
    expect(await ask('x', failing)).toEqual({ result: [900] })
    await clock.elapse(16 * minute)
    expect(asked).toHaveLength(2)
    expect(await ask('x', failing)).toEqual({ result: [900] })
  })
})

describe('what passes', () => {
  it('is for those who wait when it comes, and asked anew for whoever comes later', async () => {
    drawn = [0.5, 0.25]
    const question = { ...questionOf('a'), isPassing: true }
    for (let each = 0; each < 2; each++) await ask('x', question)
    await clock.elapse(15 * minute - 10 * second)
    const waiting = ask('x', question)
    await clock.elapse(10 * second)
    expect(await waiting).toEqual({ result: [900] })
    expect(await ask('x', question)).toBe('still-apart 450')
    await clock.elapse(10 * minute)
    // Nobody waited for that one.
    expect(asked).toEqual(['a 900', 'a 1350'])
    expect(await ask('x', question)).toBe('still-apart 900')
  })
})

describe('what is dropped', () => {
  it('is what was asked of its subject: what is still to be asked stays', async () => {
    drawn = [0.5, 0.5, 0.5, 0.9, 0.2]
    const dropped = { ...questionOf('a'), subject: 'a' }
    const other = { ...questionOf('b'), subject: 'b' }
    const several = questionOf('c')
    const all = [
      ['x', dropped],
      ['y', other],
      ['z', several],
    ] as const
    for (const [key, question] of [...all, ...all]) await ask(key, question)
    await clock.elapse(hour / 2)
    await ask('waiting', dropped)
    expect(await ask('waiting', dropped)).toBe('still-apart 1620')
    later.drop('a')
    expect(await ask('y', other)).toEqual({ result: [900] })
    expect(await ask('z', several)).toEqual({ result: [900] })
    expect(await ask('waiting', dropped)).toBe('still-apart 1620')
    expect(await ask('x', dropped)).toMatch('still-apart')
  })

  it('is not given to those who wait for it either, where it has been asked', async () => {
    drawn = [10 / 1800, 0.5]
    const { promise, resolve } = Promise.withResolvers<Outcome>()
    const slow = { ...questionOf('a', () => promise), subject: 'a' }
    await ask('x', slow)
    const waiting = ask('x', slow)
    await clock.elapse(10 * second)
    later.drop('a')
    resolve({ result: 'old' })
    expect(await waiting).toMatchObject({ error: { data: { nightjar: 'still-apart' } } })
    expect(await ask('x', slow)).toBe('still-apart 1')
    expect(await ask('x', slow)).toBe('still-apart 900')
  })
})

describe('what is kept', () => {
  it('is 256 questions: the oldest goes, is not asked any more, and who waits for it is told', async () => {
    drawn = [10 / 1800]
    await ask('first', questionOf('f'))
    const waiting = ask('first', questionOf('f'))
    for (let each = 0; each < 256; each++) {
      await ask(`${each}`, questionOf('a'))
      await ask(`${each}`, questionOf('a'))
    }
    expect(await waiting).toMatchObject({ error: { data: { nightjar: 'still-apart' } } })
    // For each an asking, and an end.
    expect(clock.pending).toBe(2 * 256)
    await clock.elapse(hour / 2)
    expect(asked).toHaveLength(256)
  })

  it('is another’s as long as somebody has more: who asks for much pushes out his own', async () => {
    for (let each = 0; each < 2; each++) await ask('x', questionOf('a'), undefined, 'modest')
    for (let each = 0; each < 300; each++) await ask(`${each}`, questionOf('b'), undefined, 'greedy')
    await clock.elapse(hour / 2)
    expect(await ask('x', questionOf('a'), undefined, 'modest')).toHaveProperty('result')
  })

  it('is not given any more when it is too old by either clock', async () => {
    for (const key of ['x', 'x']) await ask(key, questionOf('a'))
    await clock.elapse(hour / 2)
    expect(await ask('x', questionOf('a'))).toHaveProperty('result')
    // The machine slept: no time went by for its timers.
    clock.set(2 * hour)
    expect(await ask('x', questionOf('a'))).toMatch('still-apart')
  })

  it('is some megabytes: the oldest goes', async () => {
    const large = questionOf('a', () => ({ result: 'f'.repeat(20 * 1024 * 1024) }))
    for (const key of ['x', 'x', 'y', 'y']) await ask(key, large)
    await clock.elapse(20 * minute)
    expect(await ask('y', large)).toHaveProperty('result')
    expect(await ask('x', large)).toBe('still-apart 1')
  })

  it('is forgotten when nobody asked for it for an hour, and when all ends', async () => {
    for (const key of ['x', 'x', 'y', 'y']) await ask(key, questionOf('a'))
    await clock.elapse(hour / 2)
    await ask('y', questionOf('a'))
    await clock.elapse(hour / 2)
    // Of the other, the end and a new asking.
    expect(clock.pending).toBe(1)
    await ask('z', questionOf('a'))
    await ask('z', questionOf('a'))
    later.stop()
    expect(clock.pending).toBe(0)
  })
})
