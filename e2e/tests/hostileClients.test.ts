/**
 * Twenty things that a hostile client does to a relay, each while three ordinary clients ask: the relay closes or holds
 * back, the others have no error, and it serves on. What it costs the others in time is printed and written down, and
 * asserted nowhere (`npm run chaos -- --hostile` measures it on a machine that does nothing else).
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  type BehaviourReport,
  behaviours,
  describeBehaviour,
  type HostileStage,
  setHostileStage,
} from '../src/chaos/hostile/run.ts'
import { distFolder } from '../src/network/index.ts'

let stage: HostileStage
const reports: BehaviourReport[] = []

beforeAll(async () => {
  stage = await setHostileStage({ leastSeconds: 2 })
})

afterAll(async () => {
  await stage.stop()
  const file = join(dirname(distFolder()), '.build', 'reports', 'hostile.json')
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, `${JSON.stringify({ quiet: stage.quiet, behaviours: reports }, undefined, 2)}\n`)
  console.log(reports.map(describeBehaviour).join('\n'))
})

test('there are twenty', () => {
  expect(new Set(behaviours.map(({ name }) => name)).size).toBe(20)
})

test.each(behaviours.map((behaviour) => [behaviour.name, behaviour] as const))('%s', async (_, behaviour) => {
  const report = await stage.attack(behaviour)
  reports.push(report)
  expect(report.outcome).toMatch(behaviour.expected)
  expect(report.failed).toEqual({})
  expect(report.answered).toBeGreaterThan(0)
  expect(report.servesOn).toBe(true)
})
