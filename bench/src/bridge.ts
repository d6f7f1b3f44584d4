/**
 * `bridge`: a page's eth_call of 1 KB from its provider and back: page → content → background (sealing) → native
 * messaging → daemon → three relays → provider, and back. Beside it the same call at the daemon's endpoint, in alternating
 * blocks of one run: what the extension adds is the difference. Chromium is headless, the chain answers at once.
 */
import { extensionIds, goPrivate, type Stage, setStage } from '@nightjar/e2e/browser'
import { Pool } from 'undici'
import { quantile } from './statistics.ts'

const blocks = 6
const requests = 200
/** 480 bytes of call data are 960 hexadecimal digits: about 1 KB of JSON. */
const call = { to: '0x000000000000000000000000000000000000dEaD', data: `0x${'5a'.repeat(480)}` }

export async function benchBridge(report: (step: string) => void): Promise<Record<string, number>> {
  const stage = await setStage({ network: { recorded: false, logLevel: 'warn' }, onStep: report })
  const endpoint = new Pool(new URL(stage.network.daemon.url(1)).origin, { connections: 1 })
  const path = new URL(stage.network.daemon.url(1)).pathname
  try {
    const begun = performance.now()
    const { clickToDialogMs } = await goPrivate(stage)
    report(`private after ${Math.round(performance.now() - begun)} ms, dialogs included`)
    const page = await stage.browser.context.newPage()
    await page.goto('http://dapp.example/')
    const fromPage: number[] = []
    const atEndpoint: number[] = []
    for (let block = 0; block < blocks; block++) {
      report(`block ${block + 1} of ${blocks}`)
      const a = await page.evaluate(askInPage, [requests, call] as const)
      const b = await askEndpoint(endpoint, path)
      // The first block warms up code, connections and branches.
      if (block === 0) continue
      fromPage.push(...a)
      atEndpoint.push(...b)
    }
    const totalP50Ms = quantile(fromPage, 0.5)
    const endpointP50Ms = quantile(atEndpoint, 0.5)
    return {
      p50Ms: totalP50Ms - endpointP50Ms,
      p99Ms: quantile(fromPage, 0.99) - endpointP50Ms,
      totalP50Ms,
      totalP99Ms: quantile(fromPage, 0.99),
      endpointP50Ms,
      clickToDialogMs,
      popupInteractiveMs: await popupInteractive(stage),
    }
  } finally {
    await endpoint.close()
    await stage.stop()
  }
}

/** Runs in the page. */
async function askInPage([count, call]: readonly [number, object]): Promise<number[]> {
  const { demo } = globalThis as unknown as { demo: { request(...args: unknown[]): Promise<unknown> } }
  const durations: number[] = []
  for (let i = 0; i < count; i++) {
    const begun = performance.now()
    // An account without code answers with nothing; anything but an answer rejects and fails the run.
    await demo.request('Nightjar', 'eth_call', [call, 'latest'])
    durations.push(performance.now() - begun)
  }
  return durations
}

async function askEndpoint(endpoint: Pool, path: string): Promise<number[]> {
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'eth_call', params: [call, 'latest'] })
  const headers = { 'content-type': 'application/json' }
  const durations: number[] = []
  for (let i = 0; i < requests; i++) {
    const begun = performance.now()
    const answer = await endpoint.request({ path, method: 'POST', headers, body })
    const text = await answer.body.text()
    if (!text.includes('"result"')) throw new Error(`no result: ${text}`)
    durations.push(performance.now() - begun)
  }
  return durations
}

/** From the popup's navigation to the moment its button is there to be pressed; the median of some. */
async function popupInteractive(stage: Stage): Promise<number> {
  const { context } = stage.browser
  const durations: number[] = []
  for (let i = 0; i < 9; i++) {
    const page = await context.newPage()
    await page.addInitScript(`
      new MutationObserver((_, observer) => {
        if (document.querySelector('button') === null) return
        observer.disconnect()
        requestAnimationFrame(() => { globalThis.interactive = performance.now() })
      }).observe(document, { childList: true, subtree: true })
    `)
    await page.goto(`chrome-extension://${extensionIds.nightjar}/src/popup/index.html`)
    durations.push(
      await page.evaluate(
        'new Promise((resolve) => { const look = () => globalThis.interactive === undefined ? requestAnimationFrame(look) : resolve(globalThis.interactive); look() })',
      ),
    )
    await page.close()
  }
  return quantile(durations, 0.5)
}
