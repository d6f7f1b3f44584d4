/** The extension in Firefox: connected to the daemon over native messaging, answering a page, and with its shield up. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Page } from 'puppeteer-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type StaticServer, serveFolder } from '../src/browser/index.ts'
import { distFolder, programPath, runProgram, until } from '../src/network/index.ts'
import { fundedAccount, resultOf } from './support/chain.ts'
import { evaluate, type Firefox, fill, findFirefox, launchFirefox, press } from './support/firefox.ts'
import { useNetwork } from './support/network.ts'
import { startProxyTrap } from './support/proxyTrap.ts'
import { accountsApi, infura, listed, setShieldedInternet } from './support/shieldStage.ts'

const executable = findFirefox()
if (executable === undefined) console.warn('No Firefox on PATH and none in NIGHTJAR_FIREFOX: its tests are skipped.')

const another = 'another@nightjar.app'
const internet = await setShieldedInternet()
const { backends } = internet
const own = await startProxyTrap()
/** What came to the browser's own proxy of what is listed; Firefox asks for things of its own, too. */
const strayed = () => own.asked.filter((name) => listed.some((host) => name.startsWith(host)))
afterAll(async () => {
  own.close()
  await internet.close()
})

describe.skipIf(executable === undefined)('Nightjar in Firefox', () => {
  const shared = useNetwork(internet.stageOptions.network)
  let home: string | undefined
  let dapp: StaticServer
  let firefox: Firefox

  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), 'nightjar-firefox-'))
    dapp = await serveFolder(join(distFolder(), 'dapp'))
    firefox = await launchFirefox({
      executable: executable as string,
      extensions: {
        'nightjar@nightjar.app': join(distFolder(), 'extension-firefox'),
        [another]: join(import.meta.dirname, 'support', 'otherExtension'),
      },
      home,
      // Whatever the shield leaves alone, and whatever a proxy that fails is followed by, goes to the browser's own proxy.
      preferences: {
        'network.proxy.type': 1,
        'network.proxy.http': '127.0.0.1',
        'network.proxy.http_port': own.port,
        'network.proxy.ssl': '127.0.0.1',
        'network.proxy.ssl_port': own.port,
      },
      // The names' certificates are by an authority of the test's own; that Chromium checks them is shown elsewhere.
      acceptInsecureCerts: true,
    })
  })
  afterAll(async () => {
    await firefox?.close()
    // Firefox had its native host start one, which nobody else knows of.
    await shared.network.daemon.run('stop')
    await dapp?.close()
    if (home !== undefined) await rm(home, { recursive: true, force: true })
  })

  test('says how its program is installed, and goes private once it is', async () => {
    const { daemon, relays } = shared.network
    const setup = await firefox.openExtensionPage('src/first-run/index.html')
    await until('it is shown', async () => (await textOf(setup)).includes('install --browser firefox'))
    const options = await firefox.openExtensionPage('src/options/index.html')
    await fill(options, '#directory-keys', relays.trust.keys.join('\n'))
    await fill(options, '#directory-threshold', String(relays.trust.threshold))
    await press(options, 'Save')
    await until('it is saved', async () => (await textOf(options)).includes('Saved'))

    const popup = await firefox.openExtensionPage('src/popup/index.html')
    await press(popup, 'Go private')
    await until('it is missed', async () => (await textOf(popup)).includes('is not installed for this browser'))
    const env = { ...daemon.env, HOME: home as string }
    await runProgram(programPath('nightjar'), ['install', '--browser', 'firefox'], { env })
    // It goes on by itself. There is no wallet in this browser, so its door stays shut; sites are private all the same.
    const headline = () => evaluate<string>(popup, "document.querySelector('h1').innerText")
    await until('it is private', async () => (await headline()) === 'Partly private')
    const text = await textOf(popup)
    for (const { entry } of (await daemon.status()).trunks) expect(text).toContain(entry.operator)
  })

  test('answers a page over the network', async () => {
    const { nodes, providers, relays } = shared.network
    const { address } = fundedAccount(0)
    const page = await firefox.newPage()
    await page.goto(dapp.url)
    providers[1]?.forget()
    const params = [address, 'latest']
    expect(await ask(page, 'eth_getBalance', params)).toEqual({
      result: await resultOf(nodes[1] as string, 'eth_getBalance', params),
    })
    // Who asked the provider was a gateway, with nothing of the browser.
    const gateways = relays.all.filter(({ roles }) => roles.includes('gateway')).map(({ host }) => host)
    const balances = providers[1]?.seen.filter(({ body }) => body.includes('eth_getBalance')) ?? []
    expect(balances).toHaveLength(1)
    for (const { from, headers } of balances) {
      expect(gateways).toContain(from)
      expect(JSON.stringify(headers)).not.toMatch(/mozilla|firefox|origin|referer/i)
    }
  })

  test('a page gets the node’s errors as they are', async () => {
    const page = await firefox.newPage()
    await page.goto(dapp.url)
    expect(await ask(page, 'eth_getBalance', ['0x12', 'latest'])).toEqual({ code: -32602 })
  })

  describe('with the shield up', () => {
    let page: Page
    let other: Page

    beforeAll(async () => {
      page = await firefox.newPage()
      await page.goto(internet.pagesUrl)
      other = await firefox.openExtensionPage('page.html', another)
    })
    beforeEach(() => backends.forget())
    afterEach(() => {
      // Whatever happened: nobody came another way, and whoever came, came from an exit.
      expect(strayed()).toEqual([])
      const exits = shared.network.relays.all.filter(({ roles }) => roles.includes('exit')).map(({ host }) => host)
      for (const from of backends.peers) expect(exits).toContain(from)
    })

    const inPage = (way: string, url: string) => evaluate<string>(page, `fetchers.${way}(${JSON.stringify(url)})`)
    const inOther = (url: string) => evaluate<string>(other, `browser.runtime.sendMessage(${JSON.stringify(url)})`)
    const refused = /^refused/

    test.each(['page', 'worker', 'blobWorker', 'serviceWorker'])('a %s fetches from a listed host', async (way) => {
      expect(await inPage(way, `https://${infura}/v3/${way}`)).toBe(infura)
      expect(backends.seen.map(({ sni, path }) => [sni, path])).toEqual([[infura, `/v3/${way}`]])
    })

    test('another extension does, too', async () => {
      expect(await inOther(`https://${infura}/v3/wallet`)).toBe(infura)
      expect(await inOther(`https://${accountsApi}/v1/accounts/0xabc`)).toBe(accountsApi)
      expect(backends.seen).toHaveLength(2)
    })

    test('images, frames, beacons and WebSockets go the same way', async () => {
      await inPage('image', `https://${infura}/image`)
      await inPage('frame', `https://${accountsApi}/frame`)
      expect(await inPage('beacon', `https://${infura}/beacon`)).toBe('sent')
      expect(await inPage('webSocket', `https://${infura}/ws`)).toBe('echo')
      await until('the beacon has come', async () => backends.seen.some(({ path }) => path === '/beacon'))
      expect(backends.seen.map(({ path }) => path).sort()).toEqual(['/beacon', '/frame', '/image', '/ws'])
    })

    test('the name in another spelling is the same host', async () => {
      expect(await inOther(`https://MAINNET.Infura.IO/upper`)).toBe(infura)
      expect(await inOther(`https://${infura}./dot`)).toContain(infura)
    })

    test('other ports and plain http of a listed host go nowhere', async () => {
      // Firefox makes https: of what extensions ask for by http:, so only pages can.
      expect(await inPage('page', `http://${infura}/`)).toMatch(refused)
      expect(await inPage('page', `http://${accountsApi}:8080/`)).toMatch(refused)
      expect(await inOther(`https://${infura}:8443/`)).toMatch(refused)
      expect(backends.seen).toEqual([])
    })

    test('a host that the user blocks goes nowhere, and all others where they went before', async () => {
      const options = await firefox.openExtensionPage('src/options/index.html')
      const command = { command: 'choose', hosts: ['rpc.example'], choice: 'block' }
      await evaluate(options, `browser.runtime.connect({ name: 'ui' }).postMessage(${JSON.stringify(command)})`)
      await until('it is listed there', async () => (await textOf(options)).includes('rpc.example'))
      for (const host of ['a.rpc.example', 'other.example']) expect(await inOther(`https://${host}/`)).toMatch(refused)
      expect(own.asked.filter((name) => name.includes('.example'))).toEqual(['other.example:443'])
    })

    test('while the daemon is down it leads nowhere, and recovers alone', async () => {
      await shared.network.daemon.process.stop()
      for (const url of [`https://${infura}/1`, `https://${accountsApi}/2`]) expect(await inOther(url)).toMatch(refused)
      expect(await inPage('webSocket', `https://${infura}/ws`)).toBe('refused')
      await until('the shield is up again', async () => (await inOther(`https://${infura}/up`)) === infura)
      expect(await inPage('page', `https://${infura}/page`)).toBe(infura)
    })
  })

  test('once it is turned off, pages get nothing from it', async () => {
    const names = () => evaluate<readonly string[]>(page, 'demo.providers()')
    const page = await firefox.newPage()
    await page.goto(dapp.url)
    expect(await names()).toEqual(['Nightjar'])
    const popup = await firefox.openExtensionPage('src/popup/index.html')
    await press(popup, 'Turn off')
    await until('the scripts are gone', async () => {
      await page.reload()
      return (await names()).length === 0
    })
    // The browser goes its own way again.
    await page.goto(internet.pagesUrl)
    expect(await evaluate<string>(page, `fetchers.page('https://${infura}/off')`)).toMatch(/^refused/)
    expect(strayed()).toEqual([`${infura}:443`])
  })
})

const textOf = (page: Page) => evaluate<string>(page, 'document.body.innerText')

/** What Nightjar's provider in the dapp answers, or the code of its error. */
function ask(page: Page, method: string, params: readonly unknown[]): Promise<unknown> {
  const request = `demo.request('Nightjar', ${JSON.stringify(method)}, ${JSON.stringify(params)})`
  return evaluate(page, `${request}.then((result) => ({ result }), ({ code }) => ({ code }))`)
}
