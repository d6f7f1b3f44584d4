import { hostList } from '@nightjar/shared/shield'
import { describe, expect, test } from 'vitest'
import { choose, chosenHosts, isKnown, noChoices } from './choices.ts'

const listed = hostList[0]?.suffix ?? ''
const other = 'rpc.example'

describe('a choice', () => {
  test('for a listed host is kept, and forgotten when it is to be shielded again', () => {
    const blocked = choose(noChoices, [listed], 'block')
    expect([blocked, choose(blocked, [listed], 'leave').choices]).toEqual([
      { choices: { [listed]: 'block' }, added: [] },
      { [listed]: 'leave' },
    ])
    expect(choose(blocked, [listed], 'shield')).toEqual(noChoices)
  })

  test('for one that is not listed can only be to block it, once, and to leave it alone again', () => {
    const blocked = choose(choose(noChoices, [other], 'block'), [other], 'block')
    expect(blocked).toEqual({ choices: {}, added: [other] })
    expect(choose(blocked, [other], 'leave')).toEqual(noChoices)
    expect(choose(noChoices, [other], 'shield')).toEqual(noChoices)
  })

  test.each(['', 'com', '*.example.org', '1.2.3.4', 'Upper.example', 'a.example.', '__proto__', 'a b.example'])(
    'for %j, which is no host name, is passed over',
    (host) => {
      expect(choose(noChoices, [host], 'block')).toEqual(noChoices)
    },
  )

  test('can be made for 500 hosts beside the list, and no more', () => {
    const many = Array.from({ length: 600 }, (_, index) => `host${index}.example`)
    expect(choose(noChoices, many, 'block').added).toHaveLength(500)
  })
})

test('what is listed is shielded unless chosen otherwise, and what was added is blocked', () => {
  const chosen = new Map(chosenHosts(choose(choose(noChoices, [listed], 'leave'), [other], 'block')))
  expect([chosen.get(listed), chosen.get(other), chosen.size]).toEqual(['leave', 'block', hostList.length + 1])
  expect(new Map(chosenHosts(noChoices)).get(listed)).toBe('shield')
})

test('hosts that are listed or added are known, with all below them', () => {
  const choices = choose(noChoices, [other], 'block')
  const known = [listed, `a.${listed}`, other, `a.${other}`, `x${other}`, 'example.org']
  expect(known.map((host) => isKnown(choices, host))).toEqual([true, true, true, true, false, false])
})
