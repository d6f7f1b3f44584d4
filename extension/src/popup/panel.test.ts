import { describe, expect, test } from 'vitest'
import { stepIds } from '../messages/ui.ts'
import { type Fixture, fixtures } from '../ui/testing/fixtures.ts'
import { summaries } from '../ui/texts.ts'
import { panelOf, skyOf } from './panel.ts'

describe('the panel', () => {
  test.each([
    ['off', 'off'],
    ['connecting-wallet', 'connecting'],
    ['failed-host', 'on'],
    ['private', 'on'],
    ['degraded-chain', 'on'],
    ['blocked-host', 'on'],
  ] as const)('for %s is %s', (name, panel) => {
    expect(panelOf(fixtures[name].snapshot, false)).toBe(panel)
  })

  test('is a skeleton before there is a snapshot', () => {
    expect(panelOf(undefined, false)).toBe('loading')
  })

  test('asks before turning off, until it is off', () => {
    expect(panelOf(fixtures.private.snapshot, true)).toBe('leaving')
    expect(panelOf(fixtures.off.snapshot, true)).toBe('off')
  })
})

describe('the sky', () => {
  test('counts the steps, and says at which it stopped', () => {
    expect(skyOf(fixtures['connecting-trunks'].snapshot, 'connecting').summary).toBe(summaries.connecting(3, 8))
    expect(skyOf(fixtures['connecting-failed'].snapshot, 'connecting').summary).toBe(summaries.stopped(7, 8))
  })

  test('has a moon that waxes with each step and is full only when private', () => {
    const waxing = stepIds.map((id) => skyOf(fixtures[`connecting-${id}`].snapshot, 'connecting').moon.lit)
    for (const [before, lit] of waxing.slice(1).entries()) expect(lit).toBeGreaterThan(waxing[before] as number)
    const full = Object.values<Fixture>(fixtures)
      .flatMap(({ snapshot }) => snapshot ?? [])
      .filter((snapshot) => skyOf(snapshot, 'on').moon.lit === 1)
    expect(new Set(full.map(({ state }) => state))).toEqual(new Set(['private']))
  })

  test('claims MetaMask only when its requests come in', () => {
    expect(skyOf(fixtures.private.snapshot, 'on').summary).toBe(summaries.private)
    expect(skyOf(fixtures['private-unseen'].snapshot, 'on').summary).toBe(summaries.privateUnseen)
    expect(skyOf(fixtures['private-quiet'].snapshot, 'on').summary).toBe(summaries.privateUnseen)
    expect(skyOf(fixtures['private-sites'].snapshot, 'on').summary).toBe(summaries.privateSites)
  })

  test('does not call it off when MetaMask still asks the endpoint', () => {
    expect(skyOf(fixtures.off.snapshot, 'off').summary).toBe(summaries.off)
    expect(skyOf(fixtures['off-wallet-set'].snapshot, 'off').summary).toBe(summaries.offButSet)
  })
})
