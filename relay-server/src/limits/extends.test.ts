import { second } from '@nightjar/shared/runtime'
import { FakeClock } from '@nightjar/shared/testing'
import { beforeEach, expect, test } from 'vitest'
import { Extends } from './extends.ts'
import { limits } from './limits.ts'

const { extendsPerRelay: perSecond, extendsPerRelayAtOnce: atOnce, extendWindow } = limits
const kept = Math.ceil((limits.keptOfExtends + limits.keptOfCircuits) * atOnce)
const step = second / 100

let clock: FakeClock
let limited: Extends
beforeEach(() => {
  clock = new FakeClock()
  limited = new Extends(clock)
})

/** How many of `count` are admitted, of the circuit of that name. */
function ask(source: string, count = 1000, relay = 'middle', circuit = source): number {
  const origin = { source, circuit: circuitOf(circuit) }
  return Array.from({ length: count }, () => limited.admit(relay, origin)).filter(Boolean).length
}

const circuits = new Map<string, object>()
function circuitOf(name: string): object {
  const known = circuits.get(name) ?? {}
  circuits.set(name, known)
  return known
}

/** Each of `floods` asks without end for so long, in turns; how many each gets. `meanwhile` comes after them, every step. */
function flood(floods: readonly string[], duration: number, meanwhile: (elapsed: number) => void = () => {}): number[] {
  const had = floods.map(() => 0)
  for (let passed = 0; passed < duration; passed += step) {
    for (let round = 0; round < 20; round++) {
      for (const [index, name] of floods.entries()) had[index] = (had[index] ?? 0) + ask(name, 1)
    }
    meanwhile(passed)
    clock.advance(step)
  }
  return had
}

test('one alone has all but what is kept at once, and the whole rate; other relays are apart', () => {
  // Its first has nothing behind it to be kept for.
  expect(ask('a')).toBe(atOnce - kept)
  clock.advance(second)
  expect([ask('a'), ask('a', 1000, 'other')]).toEqual([perSecond, atOnce - kept])
  const [had] = flood(['a'], 60 * second)
  expect(had).toBeGreaterThan(59 * perSecond)
  expect(had).toBeLessThanOrEqual(60 * perSecond)
})

test('two floods leave a third who asks for little unharmed, from its first on', () => {
  let [asked, had] = [0, 0]
  const floods = flood(['a', 'b'], 60 * second, (passed) => {
    // Five a second, and bursts of thirty.
    const count = passed % (10 * second) === 5 * second ? 30 : passed % (second / 5) === 0 ? 1 : 0
    asked += count
    had += ask('light', count)
  })
  expect(asked).toBeGreaterThan(400)
  expect(had).toBe(asked)
  // And nothing is wasted.
  expect((floods[0] ?? 0) + (floods[1] ?? 0) + had).toBeGreaterThan(59 * perSecond)
})

test('so do forty', () => {
  let [asked, had] = [0, 0]
  flood(
    Array.from({ length: 40 }, (_, index) => `flood ${index}`),
    30 * second,
    (passed) => {
      if (passed % second !== 0) return
      asked += 1
      had += ask('light', 1)
    },
  )
  expect([asked, had]).toEqual([30, 30])
})

test.each([2, 3, 10])('%i that ask without end have equal parts', (count) => {
  const names = Array.from({ length: count }, (_, index) => `flood ${index}`)
  const had = flood(names, 60 * second)
  const part = (60 * perSecond + atOnce) / count
  for (const each of had) expect(Math.abs(each - part) / part).toBeLessThan(0.1)
})

test.each([1, 10, 100, 200])(
  'of one source, %i circuits that ask without end leave those unharmed that come anew',
  (count) => {
    const names = Array.from({ length: count }, (_, index) => `circuit ${index}`)
    let [asked, had, floods] = [0, 0, 0]
    for (let passed = 0; passed < 60 * second; passed += step) {
      for (const name of names) floods += ask('entry', 1, 'middle', name)
      if (passed % second === 0) {
        asked += 1
        had += ask('entry', 1, 'middle', `newcomer ${asked}`)
      }
      clock.advance(step)
    }
    expect([asked, had]).toEqual([60, 60])
    expect(floods).toBeGreaterThan(58 * perSecond)
  },
)

test('one that comes later has an equal part soon, though the first had all', () => {
  flood(['a'], 60 * second)
  flood(['a', 'b'], 2 * extendWindow)
  const [first = 0, later = 0] = flood(['a', 'b'], 10 * second)
  expect(later).toBeGreaterThan(0.8 * first)
  expect(later).toBeLessThan(1.2 * first)
})

test('many sources together have all there is at once', () => {
  const had = Array.from({ length: 1000 }, (_, index) => ask(`client ${index}`, 1))
  expect(had.filter((each) => each === 1)).toHaveLength(atOnce)
})

test('a relay that nobody is extended to any more is forgotten, and who asked', () => {
  ask('a', 1, 'one')
  ask('a', 1, 'other')
  expect(limited.size).toBe(2)
  clock.advance(extendWindow)
  ask('a', 1, 'other')
  expect(limited.size).toBe(2)
  clock.advance(extendWindow)
  ask('a', 1, 'third')
  expect(limited.size).toBe(2)
  clock.advance(10 * extendWindow)
  ask('a', 1, 'third')
  expect(limited.size).toBe(1)
})

test('the next relay sets no puzzles for it, and what is forgotten was there again', () => {
  expect(perSecond).toBeLessThan(limits.handshakesPerLink)
  expect(atOnce).toBeLessThan(limits.handshakesPerLinkAtOnce)
  expect((atOnce / perSecond) * second).toBeLessThan(extendWindow)
})
