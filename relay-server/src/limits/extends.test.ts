import { second } from '@nightjar/shared/runtime'
import { FakeClock } from '@nightjar/shared/testing'
import { expect, test } from 'vitest'
import { LinkExtends } from './extends.ts'
import { limits } from './limits.ts'

test('so many to one relay at once, and so many more each second; others are apart', () => {
  const clock = new FakeClock()
  const link = new LinkExtends(clock)
  const admitted = (relay: string) => Array.from({ length: 1000 }, () => link.admit(relay)).filter(Boolean).length
  expect(admitted('middle')).toBe(limits.extendsPerLinkAtOnce)
  clock.advance(second)
  expect([admitted('middle'), admitted('other')]).toEqual([limits.extendsPerLink, limits.extendsPerLinkAtOnce])
  expect(new LinkExtends(clock).admit('middle')).toBe(true)
})

test('one link leaves something of what the next relay answers on a link', () => {
  expect(limits.extendsPerLink).toBeLessThan(limits.handshakesPerLink)
  expect(limits.extendsPerLinkAtOnce).toBeLessThan(limits.handshakesPerLinkAtOnce)
})
