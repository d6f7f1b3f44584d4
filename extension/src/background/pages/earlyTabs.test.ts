import { FakeClock } from '@nightjar/shared/testing'
import { describe, expect, test } from 'vitest'
import { coverEarlyTabs, type Tab } from './earlyTabs.ts'

const tab = (id: number, url = 'https://dapp.example/'): Tab => ({ id, url })

function start(tabs: Tab[], covered: (tab: Tab) => boolean) {
  const clock = new FakeClock()
  const began = clock.now()
  const reloaded: { id: number; at: number }[] = []
  let isDone = false
  void coverEarlyTabs({
    clock,
    open: async () => [...tabs],
    isCovered: async (each) => covered(each),
    async reload({ id }) {
      if (id === 99) throw new Error('no such tab')
      reloaded.push({ id, at: clock.now() - began })
    },
    isWanted: ({ url }) => !url.includes('elsewhere'),
  }).then(() => {
    isDone = true
  })
  return { clock, reloaded, ids: () => reloaded.map(({ id }) => id), isDone: () => isDone }
}

describe('tabs of the first moments', () => {
  test('that lack the script are loaded again, the others are left alone', async () => {
    const { ids, clock } = start([tab(1), tab(2)], ({ id }) => id === 2)
    await clock.elapse(0)
    expect(ids()).toEqual([1])
  })

  test('of sites that were not chosen are left alone', async () => {
    const { ids, clock } = start([tab(1, 'https://elsewhere.example/')], () => false)
    await clock.elapse(30_000)
    expect(ids()).toEqual([])
  })

  test('that are not covered after that either are loaded once more, and then left alone', async () => {
    const { reloaded, clock } = start([tab(1)], () => false)
    await clock.elapse(30_000)
    expect(reloaded.map(({ at }) => at)).toEqual([0, 125])
  })

  test('that come a little later are found too', async () => {
    const tabs: Tab[] = []
    const { ids, clock } = start(tabs, () => false)
    await clock.elapse(200)
    tabs.push(tab(3))
    await clock.elapse(200)
    expect(ids()).toEqual([3])
  })

  test('that are gone keep nothing from being done', async () => {
    const { ids, clock } = start([tab(99), tab(1)], () => false)
    await clock.elapse(0)
    expect(ids()).toEqual([1])
  })

  test('only of these: later nobody is looked at', async () => {
    const tabs: Tab[] = []
    const { ids, clock, isDone } = start(tabs, () => false)
    await clock.elapse(40_000)
    tabs.push(tab(4))
    await clock.elapse(40_000)
    expect(ids()).toEqual([])
    expect(isDone()).toBe(true)
  })
})
