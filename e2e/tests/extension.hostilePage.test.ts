/** A page that means harm, while Nightjar is on: what it cannot reach, learn or break. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { extensionIds, goPrivate, popupState } from '../src/browser/index.ts'
import { distFolder, freePorts, until } from '../src/network/index.ts'
import { fundedAccount, resultOf } from './support/chain.ts'
import { askAt, call, hostilePath, openHostile, serveHostilePages } from './support/hostilePage.ts'
import { type MiddleHost, startMiddleHost } from './support/middleHost.ts'
import { encodeCall } from './support/rpc.ts'
import { type Asked, askIn, openDapp, useStage } from './support/stage.ts'

const site = await serveHostilePages()
const [endpointPort] = (await freePorts('127.0.0.1', 1)) as [number]
const evil = 'http://evil.example'
/** First served by the attacker, then by whoever listens at the endpoint's port. */
const rebound = `http://rebound.example:${endpointPort}`
/** An address that nobody else asks about: whoever is asked about it was reached. */
const marker = '0x00000000000000000000000000000000deadbeef'

let middle: MiddleHost
let popup: Page
let page: Page

const stage = useStage(
  {
    hosts: { 'evil.example': site.port, 'rebound.example': endpointPort },
    network: { endpointPort },
    pollPeriod: 500,
  },
  async (stage) => {
    middle = await startMiddleHost(stage)
    await middle.install()
    popup = (await goPrivate(stage)).popup
  },
)

beforeAll(async () => {
  page = await openHostile(stage, evil)
  stage.leak?.forget()
  return () => middle.close()
})

afterEach(async () => {
  // Whatever the page did: its question came through nowhere, and everybody else goes on.
  const seen = [...Object.values(stage.network.providers), stage.leak].flatMap((provider) => provider?.seen ?? [])
  expect(seen.filter(({ body }) => body.toLowerCase().includes(marker.slice(2)))).toEqual([])
  expect(stage.leak?.seen).toEqual([])
  const dapp = await openDapp(stage)
  const { address } = fundedAccount(0)
  const balance = await resultOf(stage.network.nodes[1] as string, 'eth_getBalance', [address, 'latest'])
  expect((await askIn(dapp, 'Nightjar', 'eth_getBalance', [address, 'latest'])).result).toBe(balance)
  await dapp.close()
  expect(await popupState(popup)).toBe('Private')
})

describe('the endpoint, with its token', () => {
  const question = encodeCall('eth_getBalance', [marker, 'latest'])
  const callers = async () =>
    ((await stage.network.daemon.status()) as unknown as { callers: readonly { origin: string }[] }).callers.map(
      ({ origin }) => origin,
    )

  test.each(['127.0.0.1', 'localhost'])('at %s is reached by nothing that a page can do', async (host) => {
    const url = stage.network.daemon.url(1).replace('127.0.0.1', host)
    const ways = await page.evaluate<readonly string[]>('ways')
    expect(ways.length).toBeGreaterThan(15)
    const reached = await Promise.all(ways.map((way) => call<{ read?: string }>(page, 'reach', way, url, question)))
    const read = ways.filter((_, index) => (reached[index]?.read ?? '') !== '')
    expect(read).toEqual([])
    expect(new Set(await callers())).toEqual(new Set([`chrome-extension://${extensionIds.wallet}`]))
  })

  test('answers a navigation there with nothing', async () => {
    const url = stage.network.daemon.url(1)
    const opened = stage.browser.context.waitForEvent('page')
    await page.evaluate(`void sendForm(${JSON.stringify(url)}, ${JSON.stringify(question)}, 'other window')`)
    const other = await opened
    await other.waitForLoadState()
    expect(await other.locator('body').innerText()).not.toContain('jsonrpc')
    await other.close()
    expect(new Set(await callers())).toEqual(new Set([`chrome-extension://${extensionIds.wallet}`]))
  })

  test('is not reached by a name that came to point there', async () => {
    const context = stage.browser.context
    const served = await (await fetch(site.url + hostilePath)).text()
    const scripts = await Promise.all(
      ['hooks.js', 'evil.js', 'reach.js'].map(async (name) => [
        name,
        await (await fetch(`${site.url}/${name}`)).text(),
      ]),
    )
    const attacker = await context.newPage()
    await attacker.route(`${rebound}${hostilePath}`, (route) =>
      route.fulfill({ body: served, contentType: 'text/html' }),
    )
    for (const [name, body] of scripts) {
      await attacker.route(`${rebound}/${name}`, (route) =>
        route.fulfill({ body: body as string, contentType: 'text/javascript' }),
      )
    }
    await attacker.goto(rebound + hostilePath)
    const url = stage.network.daemon.url(1).replace(/^http:\/\/[^/]*/, rebound)
    const answer = `fetch('${url}', { method: 'POST', body: ${JSON.stringify(question)} })`
    expect(await attacker.evaluate(`${answer}.then(async (r) => [r.status, await r.text()])`)).toEqual([403, ''])
    for (const way of ['fetch', 'XMLHttpRequest', 'frame', 'form into a frame', 'WebSocket']) {
      expect(((await call<{ read?: string }>(attacker, 'reach', way, url, question)).read ?? '').trim()).not.toContain(
        'jsonrpc',
      )
    }
    expect(new Set(await callers())).toEqual(new Set([`chrome-extension://${extensionIds.wallet}`]))
    await attacker.close()
  })
})

describe('the extension’s own messages', () => {
  test('are not to be had through the browser’s interface for extensions, from pages or from other extensions', async () => {
    const tries = (name: string) => `new Promise((resolve) => {
      const runtime = globalThis.chrome?.runtime
      if (runtime?.connect === undefined) return resolve('no way')
      const port = runtime.connect('${extensionIds.nightjar}', { name: '${name}' })
      port.onMessage.addListener((message) => resolve(message))
      port.onDisconnect.addListener(() => resolve('closed: ' + runtime.lastError?.message))
      port.postMessage({ command: 'disconnect' })
    })`
    const other = await stage.browser.openPage('wallet', 'settings.html')
    for (const name of ['ui', 'page']) {
      expect(await page.evaluate(tries(name))).toBe('no way')
      expect(await other.evaluate(tries(name))).toMatch(/^closed: .*Receiving end does not exist/)
    }
    const send = `chrome.runtime.sendMessage('${extensionIds.nightjar}', { ping: true }).catch(({ message }) => message)`
    expect(await other.evaluate(send)).toMatch(/Receiving end does not exist/)
    await other.close()
  })

  test('are not to be had with forged events and messages', async () => {
    const types = await page.evaluate<readonly string[]>(
      `[...caught.listened, ...caught.dispatched, 'nightjar-offer', 'nightjar-call', 'message', 'connect', 'pageshow', 'prerenderingchange']`,
    )
    await page.evaluate(`evil.forge(window, ${JSON.stringify(types)}, evil.forgeries('${marker}'))`)
    // What is asked after them is answered after them.
    expect((await askAt(page, 'eth_chainId')).result).toBe('0x1')
    expect(await page.evaluate('evil.replies')).toEqual([])
  })

  test.each(['blank', 'javascript', 'srcdoc', 'sandboxed', 'same site', 'opened'])(
    'are not to be had in a window that the page has hooked before it loads: %s',
    async (kind) => {
      const own = await openHostile(stage, evil)
      middle.behave()
      await own.evaluate(`evil.openOwn('${kind}').then((opened) => { globalThis.opened = opened })`)
      const types = await own.evaluate<readonly string[]>(`[...caught.listened, ...caught.dispatched]`)
      await own.evaluate(`evil.forge(opened, ${JSON.stringify(types)}, evil.forgeries('${marker}'))`)
      expect((await askAt(own, 'eth_chainId')).result).toBe('0x1')
      expect(await own.evaluate('evil.replies')).toEqual([])
      console.log(kind, types, await own.evaluate('caught.ports.size'))
      await own.close()
    },
  )
})
