import { minute } from '@nightjar/shared/runtime'
import { FakeClock } from '@nightjar/shared/testing'
import { createLog } from '@nightjar/shared-node/log'
import { expect, test } from 'vitest'
import { createAudit } from './audit.ts'

function stage() {
  const lines: Record<string, unknown>[] = []
  const destination = { write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>) }
  const clock = new FakeClock()
  return { lines, clock, audit: createAudit(createLog({ name: 'test', level: 'info', destination }), clock) }
}

test('one line a minute, in tens, and none where nothing was', () => {
  const { lines, clock, audit } = stage()
  audit.admitted()
  for (let times = 0; times < 11; times++) audit.refused('address-rate')
  expect(lines).toEqual([])
  clock.advance(minute)
  expect(lines).toMatchObject([{ level: 'info', admitted: 10, 'address-rate': 20 }])
  clock.advance(10 * minute)
  expect([lines.length, clock.pending]).toEqual([1, 0])
  audit.refused('puzzle-set')
  clock.advance(minute)
  expect(lines[1]).toMatchObject({ 'puzzle-set': 10 })
  expect(lines[1]).not.toHaveProperty('admitted')
})

test('what is left is written at the end, and nothing afterwards', () => {
  const { lines, clock, audit } = stage()
  audit.refused('half-open')
  audit.stop()
  expect(lines).toMatchObject([{ 'half-open': 10 }])
  audit.stop()
  expect([lines.length, clock.pending]).toEqual([1, 0])
})
