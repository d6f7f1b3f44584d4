/** The shield beside other proxies: the system's is used for the rest, another extension's is told of and not fought. */
import { join } from 'node:path'
import type { Page, Worker } from 'playwright-core'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { extensionIds, goPrivate, untilPopup } from '../src/browser/index.ts'
import { until } from '../src/network/index.ts'
import { startProxyTrap } from './support/proxyTrap.ts'
import { fetchInWallet, infura, setShieldedInternet } from './support/shieldStage.ts'
import { useStage } from './support/stage.ts'

const corporate = await startProxyTrap()
const internet = await setShieldedInternet()
afterAll(async () => {
  await internet.close()
  corporate.close()
})
beforeEach(() => {
  corporate.asked.splice(0)
  internet.backends.forget()
})

const listed = `https://${infura}/`
const unlisted = 'https://unlisted.example/'
const refused = /^refused/

describe('with a proxy of the system', () => {
  const address = `http://127.0.0.1:${corporate.port}`
  const stage = useStage({
    ...internet.stageOptions,
    browserEnv: { http_proxy: address, https_proxy: address, no_proxy: 'intranet.example' },
  })

  test('listed hosts go through an exit, the rest through that proxy as before', async () => {
    expect(await fetchInWallet(stage, unlisted)).toMatch(refused)
    expect(corporate.asked).toEqual(['unlisted.example:443'])
    const { popup } = await goPrivate(stage)
    corporate.asked.splice(0)
    expect(await fetchInWallet(stage, listed)).toBe(infura)
    expect(await fetchInWallet(stage, unlisted)).toMatch(refused)
    expect(await fetchInWallet(stage, 'https://intranet.example/')).toMatch(refused)
    expect(corporate.asked).toEqual(['unlisted.example:443'])
    expect(internet.trap.count).toBe(0)
    await popup.close()
  })
})

describe('with another extension that sets the proxy', () => {
  const folder = join(import.meta.dirname, 'support', 'proxyRival')
  const stage = useStage({ ...internet.stageOptions, extensions: [folder] })
  let popup: Page

  async function rival(): Promise<Worker> {
    const { context } = stage.browser
    const ours: readonly string[] = Object.values(extensionIds)
    const find = () => context.serviceWorkers().find((each) => !ours.includes(new URL(each.url()).host))
    await until('the other extension runs', async () => find() !== undefined)
    return find() as Worker
  }

  test('the popup says so, sites stay private, and the shield comes back when that lets go', async () => {
    popup = (await goPrivate(stage)).popup
    const other = await rival()
    const takes = await other.evaluate<boolean, number>(async (port) => {
      // Runs in that extension's service worker: what is there is not what Node's types say.
      const scope = globalThis as unknown as { take(port: number): Promise<void> }
      await scope.take(port)
      const { chrome } = globalThis as unknown as {
        chrome: { proxy: { settings: { get(options: object): Promise<{ levelOfControl: string }> } } }
      }
      return (await chrome.proxy.settings.get({})).levelOfControl === 'controlled_by_this_extension'
    }, corporate.port)
    // Whichever was installed last has it; the browser loaded this one after Nightjar.
    expect(takes).toBe(true)
    await untilPopup(popup, 'Partly private')
    await popup
      .getByText(/Another extension or a policy sets the browser’s proxy/)
      .first()
      .waitFor()
    expect(await fetchInWallet(stage, listed)).toMatch(refused)
    expect(corporate.asked).toEqual([`${infura}:443`])
    await other.evaluate('letGo()')
    await untilPopup(popup, 'Private')
    expect(await fetchInWallet(stage, listed)).toBe(infura)
    expect(internet.trap.count).toBe(0)
  })

  test('one that had it first keeps it for the rest', async () => {
    await stage.replaceBrowser()
    await (await rival()).evaluate(`take(${corporate.port})`)
    const asked = await stage.nightjar.openPopup()
    await asked.getByRole('button', { name: 'Go private' }).click()
    await asked
      .getByText(/Another extension or a policy sets the browser’s proxy/)
      .first()
      .waitFor()
    expect(await fetchInWallet(stage, listed)).toMatch(refused)
    expect(corporate.asked).toContain(`${infura}:443`)
    expect(internet.trap.count).toBe(0)
  })
})
