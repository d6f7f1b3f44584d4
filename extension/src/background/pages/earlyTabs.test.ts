import { second } from '@nightjar/shared/runtime'
import { FakeClock, turn } from '@nightjar/shared/testing'
import { describe, expect, test } from 'vitest'
import { coverEarlyTabs, type Tab } from './earlyTabs.ts'

function start(tabs: readonly Tab[], covered: (tab: Tab) => boolean) {
  const clock = new FakeClock()
  const reloaded: number[] = []
  let listener: ((tab: Tab) => void) | undefined
  const unwanted = 'https://elsewhere.example/'
  const done = coverEarlyTabs({
    clock,
    open: async () => tabs,
    onLoaded(given) {
      listener = given
      return () => {
        listener = undefined
      }
    },
    isCovered: async (tab) => covered(tab),
    async reload({ id }) {
      if (id === 99) throw new Error('no such tab')
      reloaded.push(id)
    },
    isWanted: ({ url }) => url !== unwanted,
  })
  const load = async (tab: Tab) => {
    listener?.(tab)
    await turn()
  }
  return { clock, reloaded, load, done, unwanted }
}

const tab = (id: number, url = 'https://dapp.example/'): Tab => ({ id, url })

describe('tabs of the first moments', () => {
  test('that lack the script are loaded again, the others are left alone', async () => {
    const { reloaded, done } = start([tab(1), tab(2)], ({ id }) => id === 2)
    await done
    expect(reloaded).toEqual([1])
  })

  test('of sites that were not chosen are left alone', async () => {
    const { reloaded, done, unwanted } = start([tab(1, 'https://elsewhere.example/')], () => false)
    await done
    expect(unwanted).toBe('https://elsewhere.example/')
    expect(reloaded).toEqual([])
  })

  test('that load meanwhile are looked at too, and each is loaded again twice at most', async () => {
    const { reloaded, load, done } = start([], () => false)
    await done
    for (let time = 0; time < 5; time++) await load(tab(3))
    expect(reloaded).toEqual([3, 3])
  })

  test('that are gone keep nothing from being done', async () => {
    const { reloaded, done } = start([tab(99), tab(1)], () => false)
    await done
    expect(reloaded).toEqual([1])
  })

  test('only of these: after twenty seconds nobody is looked at', async () => {
    const { reloaded, load, done, clock } = start([], () => false)
    await done
    clock.advance(20 * second)
    await load(tab(4))
    expect(reloaded).toEqual([])
  })
})
