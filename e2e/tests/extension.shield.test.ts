/** The shield in a real browser: what wallet and pages send to listed hosts comes from an exit, or not at all. */
import type { Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { goPrivate, popupState, untilPopup } from '../src/browser/index.ts'
import { until } from '../src/network/index.ts'
import {
  accountsApi,
  echoInWallet,
  fetchIn,
  fetchInWallet,
  infura,
  intercepted,
  setShieldedInternet,
} from './support/shieldStage.ts'
import { useStage } from './support/stage.ts'

// Exits end at once when they are told to.
const internet = await setShieldedInternet({
  network: { configure: (config) => ({ ...config, drain_timeout: 0 }) },
})
const { backends, trap } = internet
const stage = useStage(internet.stageOptions)
afterAll(() => internet.close())

const refused = /^refused/
/** Direct connections that a test meant to see. */
let meant = 0
let popup: Page
let page: Page

const exits = () => stage.network.relays.all.filter(({ roles }) => roles.includes('exit'))

beforeAll(async () => {
  popup = (await goPrivate(stage)).popup
  page = await internet.openFetcher(stage)
})

beforeEach(() => backends.forget())

afterEach(() => {
  // Whatever happened: nobody came directly, and whoever came, came from an exit.
  expect(trap.count).toBe(meant)
  const addresses = exits().map(({ host }) => host)
  for (const from of backends.peers) expect(addresses).toContain(from)
})

const seenAt = (host: string, path: string) =>
  backends.seen.filter((visit) => visit.sni === host && visit.path === path)

describe('with the shield up', () => {
  test.each(['page', 'worker', 'blobWorker', 'serviceWorker'])('a %s fetches from a listed host', async (way) => {
    expect(await fetchIn(page, way, `https://${infura}/v3/${way}`)).toBe(infura)
    expect(seenAt(infura, `/v3/${way}`)).toHaveLength(1)
  })

  test('images, frames and beacons go the same way', async () => {
    await fetchIn(page, 'image', `https://${infura}/image`)
    await fetchIn(page, 'frame', `https://${accountsApi}/frame`)
    expect(await fetchIn(page, 'beacon', `https://${infura}/beacon`)).toBe('sent')
    await until('the beacon has come', async () => seenAt(infura, '/beacon').length === 1)
    expect(seenAt(infura, '/image')).toHaveLength(1)
    expect(seenAt(accountsApi, '/frame')).toHaveLength(1)
  })

  test('WebSockets of a page and of the wallet', async () => {
    expect(await fetchIn(page, 'webSocket', `https://${infura}/ws/v3`)).toBe('echo')
    expect(await echoInWallet(stage, `wss://${infura}/ws/v3/wallet`)).toBe('echo')
    expect(backends.seen.map(({ method, path }) => [method, path])).toEqual([
      ['WS', '/ws/v3'],
      ['WS', '/ws/v3/wallet'],
    ])
  })

  test('the service worker of another extension, which is where a wallet asks', async () => {
    expect(await fetchInWallet(stage, `https://${accountsApi}/v1/accounts/0xabc`)).toBe(accountsApi)
    expect(await fetchInWallet(stage, `https://${infura}/v3/wallet`)).toBe(infura)
    expect(seenAt(accountsApi, '/v1/accounts/0xabc')).toHaveLength(1)
  })

  test('the name in another spelling is the same host', async () => {
    for (const host of ['MAINNET.infura.IO', `${infura}.`]) {
      await fetchIn(page, 'page', `https://${host}/spelling`)
      await fetchInWallet(stage, `https://${host}/spelling`)
    }
    const names = backends.seen.map(({ sni }) => sni.toLowerCase().replace(/\.$/, ''))
    expect(names).toEqual(new Array(4).fill(infura))
  })

  test('other ports and plain http of a listed host go nowhere', async () => {
    for (const url of [`http://${infura}/plain`, `https://${infura}:8443/port`, `http://${accountsApi}:8080/`]) {
      expect(await fetchInWallet(stage, url)).toMatch(refused)
    }
    expect(backends.seen).toEqual([])
  })

  test('what was shielded is counted, on this machine', async () => {
    await fetchInWallet(stage, `https://${accountsApi}/count`)
    const { shield } = await stage.network.daemon.status()
    for (const host of [infura, accountsApi]) {
      expect(shield.hosts.find(({ suffix }) => host.endsWith(suffix))?.shielded).toBeGreaterThan(0)
    }
  })

  test('the browser checks the certificate: a server with another key is not talked to', async () => {
    expect(await fetchInWallet(stage, `https://${intercepted}/`)).toMatch(refused)
    expect(await fetchIn(page, 'page', `https://${intercepted}/`)).toMatch(refused)
    expect(internet.interceptor.peers.size).toBeGreaterThan(0)
    expect(internet.interceptor.seen).toEqual([])
  })
})

describe('fails closed, and recovers alone', () => {
  test('while the daemon is down', async () => {
    const { daemon } = stage.network
    await daemon.process.stop()
    // The browser's side starts it again by itself: asked at once, and again until it is there.
    expect(await fetchInWallet(stage, `https://${infura}/daemon`)).toMatch(refused)
    await until('the shield is up again', async () => (await fetchInWallet(stage, `https://${infura}/up`)) === infura)
    expect(await fetchIn(page, 'page', `https://${infura}/page`)).toBe(infura)
    await untilPopup(popup, 'Private', 'Partly private')
  })

  test('while all exits are gone', async () => {
    const all = exits()
    await Promise.all(all.map(({ process }) => process.stop()))
    expect(await fetchInWallet(stage, `https://${infura}/gone`)).toMatch(refused)
    expect(await fetchIn(page, 'webSocket', `https://${infura}/gone`)).toMatch(refused)
    await Promise.all(all.map((exit) => exit.restart()))
    await until('an exit is used again', async () => (await fetchInWallet(stage, `https://${infura}/`)) === infura)
  })

  test('when the browser is started again: before Nightjar has its daemon', async () => {
    await page.close()
    await stage.restartBrowser()
    // The first thing that the browser does.
    const early = await fetchInWallet(stage, `https://${infura}/early`)
    expect(early === infura || refused.test(early)).toBe(true)
    await until('it is up', async () => (await fetchInWallet(stage, `https://${infura}/later`)) === infura)
    popup = await stage.nightjar.openPopup()
    await untilPopup(popup, 'Private', 'Partly private')
  })

  test('when the service worker of Nightjar is stopped', async () => {
    await stage.browser.stopServiceWorkers()
    page = await internet.openFetcher(stage)
    expect(await fetchIn(page, 'page', `https://${infura}/stopped`)).toBe(infura)
  })
})

test('turned off, the browser goes its own way again', async () => {
  popup = await stage.nightjar.openPopup()
  await popup.getByRole('button', { name: 'Turn off' }).click()
  await popup.getByRole('button', { name: 'Turn off' }).click()
  await untilPopup(popup, 'Off')
  expect(await popupState(popup)).toBe('Off')
  expect(await fetchInWallet(stage, `https://${infura}/off`)).toMatch(refused)
  meant = trap.count
  expect(meant).toBeGreaterThan(0)
  expect(backends.seen).toEqual([])
})
