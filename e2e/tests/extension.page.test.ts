/** A page that means harm: what it can reach, see and break. It runs in a real tab, with Nightjar on and the wallet set. */
import type { Page } from 'playwright-core'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { extensionIds, goPrivate } from '../src/browser/index.ts'
import { until } from '../src/network/index.ts'
import { bridgeTexts } from './support/bridge.ts'
import { fundedAccount, resultOf } from './support/chain.ts'
import { askIn, openDapp, recordingHost, replaceHost, useStage } from './support/stage.ts'

let recorded: () => Promise<Buffer>
const stage = useStage({}, async (stage) => {
  const recording = await recordingHost(stage)
  await replaceHost(stage, recording.command)
  recorded = recording.recorded
})
const account = fundedAccount(0).address
let page: Page

beforeAll(async () => {
  await goPrivate(stage)
  page = await openDapp(stage)
})

afterEach(async () => {
  // Whatever it tried, Nightjar serves on.
  expect((await askIn(page, 'Nightjar', 'eth_gasPrice')).error).toBeUndefined()
})

describe('the endpoint', () => {
  const body =
    '{"jsonrpc":"2.0","id":1,"method":"eth_getBalance","params":["0x1111111111111111111111111111111111111111","latest"]}'

  test('gives nothing to a page that knows its address and token, however it asks', async () => {
    const url = stage.network.daemon.url(1)
    const answers = await page.evaluate(
      async ([url, body]) => {
        const tries: (() => Promise<unknown>)[] = [
          () => fetch(url as string, { method: 'POST', body }).then((answer) => answer.text()),
          () => fetch(url as string, { method: 'POST', body, mode: 'no-cors' }).then((answer) => answer.text()),
          () => fetch(url as string).then((answer) => answer.text()),
        ]
        return Promise.all(tries.map((each) => each().catch(() => 'refused')))
      },
      [url, body] as const,
    )
    expect(answers).toEqual(['refused', expect.stringMatching(/^(refused)?$/), 'refused'])
    expect(stage.network.providers[1]?.seen.some(({ body }) => body.includes('1111111111'))).toBe(false)
  })

  test('refuses a name that was made to lead to it', async () => {
    const { port } = new URL(stage.network.daemon.url(1))
    const answer = await fetch(stage.network.daemon.url(1), {
      method: 'POST',
      body,
      headers: { origin: 'http://evil.example' },
    })
    expect(answer.status).toBe(403)
    expect(Number(port)).toBeGreaterThan(0)
  })
})

describe('the extension', () => {
  test('has nothing that a page can load, connect to or find', async () => {
    const found = await page.evaluate(async (id) => {
      const root = `chrome-extension://${id}/`
      const files = ['manifest.json', 'src/popup/index.html', 'src/inpage/inpage.iife.js', 'icons/16.png']
      const loaded = await Promise.all(
        files.map((file) =>
          fetch(root + file).then(
            () => file,
            () => '',
          ),
        ),
      )
      const scope = globalThis as unknown as { chrome?: { runtime?: { connect?: unknown } } } & Record<string, unknown>
      const names = Object.getOwnPropertyNames(scope).filter((name) => /nightjar/i.test(name))
      return { loaded, canConnect: scope.chrome?.runtime?.connect !== undefined, names }
    }, extensionIds.nightjar)
    expect(found).toEqual({ loaded: ['', '', '', ''], canConnect: false, names: [] })
  })

  test('does not answer forged messages, and announces nothing else', async () => {
    const heard = await page.evaluate(async () => {
      const scope = globalThis as unknown as EventTarget & {
        postMessage(message: unknown, target: string): void
        dispatchEvent(event: Event): boolean
      }
      const heard: string[] = []
      const forged = { id: 1, method: 'eth_accounts', params: [], chain: 1, door: 'nightjar' }
      const { port1, port2 } = new MessageChannel()
      port1.addEventListener('message', (event) => heard.push(String(event)))
      port1.start()
      for (const name of ['message', 'nightjar', 'nightjar:port', 'nightjar-port', 'nightjar:channel']) {
        scope.dispatchEvent(new MessageEvent(name, { data: forged, ports: [port2] }))
      }
      scope.postMessage(forged, '*')
      await new Promise((resolve) => setTimeout(resolve, 0))
      return heard
    })
    expect(heard).toEqual([])
  })

  test('is not there at all on a site that was not chosen', async () => {
    await stage.nightjar.configure({ sites: ['http://elsewhere.example/*'] })
    const fresh = await openDapp(stage)
    expect(await fresh.evaluate('demo.providers()')).toEqual(['MetaMask', 'window.ethereum'])
    await fresh.close()
    await stage.nightjar.configure({ sites: [] })
    await page.reload()
    await until('the page is covered', async () =>
      ((await page.evaluate('demo.providers()')) as string[]).includes('Nightjar'),
    )
  })
})

describe('other sites', () => {
  test('have groups of their own, and each page gets its own answers', async () => {
    const other = await stage.browser.context.newPage()
    await other.goto(`${stage.dapp.url}/`)
    const asked = [page, other].map((each, index) =>
      askIn(each, 'Nightjar', 'eth_getBalance', [fundedAccount(index + 6).address, 'latest']),
    )
    const direct = [6, 7].map((index) =>
      resultOf(stage.network.nodes[1] as string, 'eth_getBalance', [fundedAccount(index).address, 'latest']),
    )
    expect((await Promise.all(asked)).map(({ result }) => result)).toEqual(await Promise.all(direct))
    const labels = new Set(bridgeTexts(await recorded()).messages.match(/"group":"[0-9a-f]{64}"/g))
    // The check of the chains, this site and the other.
    expect(labels.size).toBe(3)
    await other.close()
  })
})

describe('what a page can send', () => {
  test('is bounded: a request of more than 1 MiB is refused with its code', async () => {
    const { error } = await askIn(page, 'Nightjar', 'eth_call', [
      { to: account, data: `0x${'ab'.repeat(600_000)}` },
      'latest',
    ])
    expect(error).toMatchObject({ code: -32005, data: { nightjar: 'request-too-large' } })
  })

  test('many requests at once are all answered, or refused with a code', async () => {
    const counts = await page.evaluate(async () => {
      const { demo } = globalThis as unknown as { demo: { request(...args: unknown[]): Promise<unknown> } }
      const results = await Promise.allSettled(
        Array.from({ length: 3000 }, () =>
          demo
            .request('Nightjar', 'eth_chainId' as string, [])
            .then(() => demo.request('Nightjar', 'eth_blockNumber', [])),
        ),
      )
      const refused = results
        .filter((each) => each.status === 'rejected')
        .map(({ reason }) => (reason as { code: number }).code)
      return { answered: results.length - refused.length, codes: [...new Set(refused)] }
    })
    expect(counts.answered).toBeGreaterThan(500)
    for (const code of counts.codes) expect([-32005, 4900]).toContain(code)
  })

  test.each<[string, string]>([
    ['cyclic params', '(() => { const a = []; a.push(a); return a })()'],
    ['a getter that throws', '[{ get to() { throw new Error("no") } }]'],
    ['a prototype', 'JSON.parse(\'[{"__proto__":{"polluted":true}}, "latest"]\')'],
    ['params that are text', '"latest"'],
  ])('%s harm nobody', async (_, params) => {
    const code = await page.evaluate(
      `demo.request('Nightjar', 'eth_call', ${params}).then(() => 'answered', (error) => typeof error.code)`,
    )
    expect(['number', 'answered', 'undefined']).toContain(code)
    expect(await page.evaluate('({}).polluted')).toBeUndefined()
  })
})
