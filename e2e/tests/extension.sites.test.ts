/** What sites learn of Nightjar and of each other: groups, frames, and sites that were not chosen. */
import type { Page } from 'playwright-core'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { goPrivate, untilPopup } from '../src/browser/index.ts'
import { until } from '../src/network/index.ts'
import { fundedAccount, resultOf } from './support/chain.ts'
import { addFrame, askAt, call, openHostile, serveHostilePages } from './support/hostilePage.ts'
import { type MiddleHost, startMiddleHost } from './support/middleHost.ts'
import { useStage } from './support/stage.ts'

const site = await serveHostilePages()
let middle: MiddleHost
const hosts = Object.fromEntries(['one', 'two', 'three'].map((name) => [`${name}.example`, site.port]))
const stage = useStage({ hosts }, async (stage) => {
  middle = await startMiddleHost(stage)
  await middle.install()
})

beforeAll(async () => {
  await goPrivate(stage)
  return () => middle.close()
})

beforeEach(() => middle.behave())

/** The label under which `ask` was asked. */
async function groupOf(ask: () => Promise<unknown>): Promise<string> {
  const before = middle.groups.length
  await ask()
  const [label, ...others] = new Set(middle.groups.slice(before))
  expect(others).toEqual([])
  return label as string
}

const gasPrice = (page: Parameters<typeof askAt>[0]) => async () =>
  expect((await askAt(page, 'eth_gasPrice')).error).toBeUndefined()

describe('isolation groups', () => {
  test('are the sites of the address bars: a frame has that of the page around it', async () => {
    const [one, two] = [await openHostile(stage, 'http://one.example'), await openHostile(stage, 'http://two.example')]
    const groups = { one: await groupOf(gasPrice(one)), two: await groupOf(gasPrice(two)) }
    expect(groups.one).not.toBe(groups.two)
    expect(await groupOf(gasPrice(await addFrame(one, 'http://two.example')))).toBe(groups.one)
    expect(await groupOf(gasPrice(await addFrame(two, 'http://one.example')))).toBe(groups.two)
    const again = await openHostile(stage, 'http://one.example')
    expect(await groupOf(gasPrice(again))).toBe(groups.one)
    for (const page of [one, two, again]) await page.close()
  })

  test('are labels that say nothing about a site', async () => {
    const one = await openHostile(stage, 'http://one.example')
    expect(await groupOf(gasPrice(one))).toMatch(/^[0-9a-f]{64}$/)
    expect(JSON.stringify(middle.seen)).not.toContain('one.example')
    await one.close()
  })

  test('get their own answers, asked at the same time', async () => {
    const pages = [await openHostile(stage, 'http://one.example'), await openHostile(stage, 'http://two.example')]
    const addresses = [fundedAccount(6).address, fundedAccount(7).address]
    const asked = pages.map((page, index) => askAt(page, 'eth_getBalance', [addresses[index], 'latest']))
    const node = stage.network.nodes[1] as string
    const direct = addresses.map((address) => resultOf(node, 'eth_getBalance', [address, 'latest']))
    expect((await Promise.all(asked)).map(({ result }) => result)).toEqual(await Promise.all(direct))
    for (const page of pages) await page.close()
  })
})

describe('a site that was not chosen', () => {
  /** All that the page can see of its browser, with Nightjar's part named. */
  const fingerprint = (page: Page) => call<{ announced: string[] } & Record<string, unknown>>(page, 'evil.fingerprint')

  test('sees what it would see without Nightjar', async () => {
    await stage.nightjar.configure({ sites: ['http://one.example/*'] })
    const chosen = await openHostile(stage, 'http://one.example')
    await until('the chosen site is covered', async () => {
      await chosen.reload()
      return (await fingerprint(chosen)).announced.includes('app.nightjar')
    })
    const covered = await fingerprint(await openHostile(stage, 'http://three.example'))
    const popup = await stage.nightjar.openPopup()
    await popup.getByRole('button', { name: 'Turn off' }).click()
    await popup.getByRole('button', { name: 'Turn off' }).click()
    await untilPopup(popup, 'Off')
    const page = await openHostile(stage, 'http://three.example')
    expect(covered).toEqual(await fingerprint(page))
    expect(covered.announced).toEqual(['io.metamask'])
  })
})
