/** A page that means harm, while Nightjar is on: what it cannot reach, learn or break. */
import { readdirSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { extensionIds, goPrivate, popupState } from '../src/browser/index.ts'
import { distFolder, freePorts } from '../src/network/index.ts'
import { fundedAccount, resultOf } from './support/chain.ts'
import { askAt, call, openHostile, serveHostilePages } from './support/hostilePage.ts'
import { type MiddleHost, startMiddleHost } from './support/middleHost.ts'
import { serveRebound } from './support/rebinding.ts'
import { encodeCall } from './support/rpc.ts'
import { type Asked, askIn, openDapp, useStage } from './support/stage.ts'

const site = await serveHostilePages()
const [endpointPort] = (await freePorts('127.0.0.1', 1)) as [number]
const name = await serveRebound(site.port, endpointPort)
const evil = 'http://evil.example'
/** An address that nobody else asks about: whoever is asked about it was reached. */
const marker = '0x00000000000000000000000000000000deadbeef'

let middle: MiddleHost
let popup: Page

const stage = useStage(
  {
    hosts: { 'evil.example': site.port, 'rebound.example': name.port },
    network: { endpointPort },
    pollPeriod: 500,
  },
  async (stage) => {
    middle = await startMiddleHost(stage)
    await middle.install()
    popup = (await goPrivate(stage)).popup
  },
)

beforeAll(() => {
  stage.leak?.forget()
  return async () => {
    await middle.close()
    await name.close()
  }
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
  let page: Page

  beforeEach(async () => {
    page = await openHostile(stage, evil)
  })
  afterEach(async () => {
    await page.close()
    const { callers } = await stage.network.daemon.status()
    expect(callers.filter(({ origin }) => origin !== `chrome-extension://${extensionIds.wallet}`)).toEqual([])
  })

  /** The ways in which `page` could read something at `url`. */
  async function waysThatRead(page: Page, url: string): Promise<readonly string[]> {
    const ways = await page.evaluate<readonly string[]>('evil.ways')
    const results = await Promise.all(
      ways.map((way) => call<{ read?: string }>(page, 'evil.reach', way, url, question)),
    )
    return ways.filter((_, index) => (results[index]?.read ?? '') !== '')
  }

  test('another server on this machine, one that answers everybody, is reached in many ways', async () => {
    const methods: (string | undefined)[] = []
    const server = createServer((request, response) => {
      methods.push(request.method)
      const headers = { 'access-control-allow-origin': '*', 'access-control-allow-headers': 'content-type' }
      response.writeHead(200, { ...headers, 'content-type': 'application/json' }).end('{"jsonrpc":"2.0"}')
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    const read = await waysThatRead(page, `http://127.0.0.1:${port}/`)
    expect(read).toEqual(
      expect.arrayContaining(['fetch', 'simple fetch', 'XMLHttpRequest', 'sandboxed frame', 'worker']),
    )
    expect(methods.length).toBeGreaterThan(15)
    server.closeAllConnections()
    server.close()
  })

  test.each(['127.0.0.1', 'localhost'])('is reached at %s in none', async (host) => {
    expect(await waysThatRead(page, stage.network.daemon.url(1).replace('127.0.0.1', host))).toEqual([])
  })

  test('answers a form that leads there with nothing', async () => {
    const opened = stage.browser.context.waitForEvent('page')
    const url = stage.network.daemon.url(1)
    await page.evaluate(`void evil.sendForm(${JSON.stringify(url)}, ${JSON.stringify(question)}, 'another window')`)
    const other = await opened
    await other.waitForLoadState()
    expect(await other.locator('body').innerText()).not.toContain('jsonrpc')
    await other.close()
  })

  test('is not reached by a name that points there later', async () => {
    const origin = `http://rebound.example:${endpointPort}`
    const rebound = await openHostile(stage, origin)
    name.rebind()
    const url = stage.network.daemon.url(1).replace(/^http:\/\/[^/]*/, origin)
    const asked = `fetch('${url}', { method: 'POST', body: ${JSON.stringify(question)} })`
    expect(
      await rebound.evaluate(`${asked}.then(async (response) => [response.status, await response.text()])`),
    ).toEqual([403, ''])
    // A frame of the same site shows the browser's own words for a refusal.
    expect((await waysThatRead(rebound, url)).filter((way) => !/frame/.test(way))).toEqual([])
    await rebound.close()
  })
})

describe('the extension’s own messages', () => {
  let page: Page

  beforeAll(async () => {
    page = await openHostile(stage, evil)
  })

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
    const message = `chrome.runtime.sendMessage('${extensionIds.nightjar}', { ping: true }).catch(({ message }) => message)`
    expect(await other.evaluate(message)).toMatch(/Receiving end does not exist/)
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
    'are not to be had in a window of its own that it has hooked before anything was loaded: %s',
    async (kind) => {
      const own = await openHostile(stage, evil)
      await own.evaluate(`evil.openOwn('${kind}').then((opened) => { globalThis.opened = opened })`)
      const types = await own.evaluate<readonly string[]>('[...caught.listened, ...caught.dispatched]')
      await own.evaluate(`evil.forge(opened, ${JSON.stringify(types)}, evil.forgeries('${marker}'))`)
      expect((await askAt(own, 'eth_chainId')).result).toBe('0x1')
      expect(await own.evaluate('evil.replies')).toEqual([])
      await own.close()
    },
  )

  // Nothing that is said in a page's own world can be kept from it. What it hears there is no secret.
  test('where it gets between our scripts, in a frame of its own, it can ask what it may ask anyway, as itself', async () => {
    const ask = (method: string) => ({ id: method, method, params: [], chain: 1, door: 'nightjar' })
    middle.behave()
    expect((await askAt(page, 'eth_gasPrice')).error).toBeUndefined()
    const [label] = middle.groups
    const own = await openHostile(stage, evil)
    await own.evaluate(`evil.openOwn('srcdoc')`)
    expect(await own.evaluate('caught.ports.size')).toBeGreaterThan(0)
    const asked = { ...ask('eth_gasPrice'), id: 77 }
    expect(await call(own, 'evil.useCaught', [asked], 77)).toMatchObject({ id: 77, result: expect.any(String) })
    expect(new Set(middle.groups)).toEqual(new Set([label]))
    for (const method of ['eth_accounts', 'personal_sign', 'eth_requestAccounts', 'wallet_addEthereumChain']) {
      const refused = { ...ask(method), id: 78 }
      expect(await call(own, 'evil.useCaught', [refused], 78)).toMatchObject({ error: { code: -32601 } })
    }
    // What is no request of our own script ends that frame's connection, and nothing else.
    await own.evaluate(`void evil.useCaught(evil.forgeries('${marker}').slice(1), 79)`)
    expect((await askAt(own, 'eth_chainId')).result).toBe('0x1')
    expect(await own.evaluate('evil.replies')).toEqual([])
    await own.close()
  })
})

describe('the extension’s own pages and files', () => {
  const other = 'abcdefghijklmnopabcdefghijklmnop'
  const folder = join(distFolder(), 'extension')
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) => /\.\w+$/.test(file))

  test('are as little there as those of an extension that does not exist', async () => {
    const page = await openHostile(stage, evil)
    expect(files).toEqual(expect.arrayContaining(['manifest.json', join('src', 'popup', 'index.html')]))
    for (const file of files) {
      const [ours, nobodys] = await Promise.all(
        [extensionIds.nightjar, other].map((id) => call(page, 'evil.see', `chrome-extension://${id}/${file}`)),
      )
      expect([file, ours]).toEqual([file, nobodys])
      expect(JSON.stringify(ours)).not.toContain('read')
    }
    expect(page.frames().filter((frame) => frame.url().startsWith('chrome-extension:'))).toEqual([])
    await page.close()
  })

  test('cannot be opened by a page', async () => {
    const page = await openHostile(stage, evil)
    const opening = stage.browser.context.waitForEvent('page')
    await page.evaluate(`void open('chrome-extension://${extensionIds.nightjar}/src/popup/index.html')`)
    const opened = await opening
    await opened.waitForLoadState()
    expect(await opened.content()).not.toContain('Nightjar')
    await opened.close()
    await page.close()
  })
})

describe('what a page asks', () => {
  const node = () => stage.network.nodes[1] as string
  const rich = fundedAccount(0).address
  let page: Page

  beforeAll(async () => {
    page = await openHostile(stage, evil)
  })

  test('may be anything: it gets an error, and nothing breaks', async () => {
    for (const kind of await page.evaluate<readonly string[]>('evil.oddParams')) {
      for (const { error } of await call<readonly Asked[]>(page, 'evil.askOddly', kind)) {
        expect([kind, error?.code]).toEqual([kind, expect.any(Number)])
      }
    }
    const large = await call<readonly Asked[]>(page, 'evil.askOddly', 'of more than 1 MiB')
    for (const { error } of large) expect(error?.data?.nightjar).toBe('request-too-large')
    const worker = await stage.browser.serviceWorker('nightjar')
    expect(await worker.evaluate('({}).polluted')).toBeUndefined()
    expect(await page.evaluate('({}).polluted')).toBeUndefined()
  })

  test('is what it asked at that moment, whatever it does to it afterwards', async () => {
    const asked = `(() => {
      const params = ['${rich}', 'latest']
      const asked = evil.settle(evil.providers.get('app.nightjar').request({ method: 'eth_getBalance', params }))
      params[0] = '${marker}'
      return asked
    })()`
    expect(await page.evaluate(asked)).toEqual({
      result: await resultOf(node(), 'eth_getBalance', [rich, 'latest']),
    })
  })

  test('is about the chain of its wallet, whatever else it says', async () => {
    const more = { id: 1, chain: 31337, door: 'wallet', group: 'http://good.example', jsonrpc: '2.0' }
    for (const rdns of ['app.nightjar', 'io.metamask']) {
      const asked = `evil.settle(evil.providers.get('${rdns}').request({ method: 'eth_chainId', ...${JSON.stringify(more)} }))`
      expect(await page.evaluate(asked)).toEqual({ result: '0x1' })
      const network = asked.replace('eth_chainId', 'net_version')
      expect(await page.evaluate(network)).toEqual({ result: '1' })
    }
  })

  test.each([
    ['empty', ''],
    ['a space', ' '],
    ['__proto__', '__proto__'],
    ['constructor', 'constructor'],
    ['toString', 'toString'],
    ['another with a NUL', 'eth_getBalance\0'],
    ['a million letters', 'x'.repeat(1e6)],
  ])('is refused where its method is %s', async (_, method) => {
    expect((await askAt(page, method)).error).toMatchObject({ code: expect.any(Number) })
  })

  test('may be ten thousand things at once: each is answered or refused', async () => {
    const outcomes = await page.evaluate<Readonly<Record<string, number>>>(`(async () => {
      const asked = Array.from({ length: 10_000 }, () => evil.ask('eth_getBalance', ['${rich}', 'latest']))
      const counts = {}
      for (const { result, error } of await Promise.all(asked)) {
        const kind = error === undefined ? String(result) : error.data.nightjar
        counts[kind] = (counts[kind] ?? 0) + 1
      }
      return counts
    })()`)
    const balance = (await resultOf(node(), 'eth_getBalance', [rich, 'latest'])) as string
    expect(Object.keys(outcomes).sort()).toEqual([balance, 'limit-reached'])
    expect((outcomes[balance] ?? 0) + (outcomes['limit-reached'] ?? 0)).toBe(10_000)
    expect(outcomes[balance]).toBeGreaterThan(500)
  })
})
