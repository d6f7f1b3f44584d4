/**
 * Runs in a namespace (namespace.ts): the moments and ways in which a browser with the shield up might still go directly
 * to a listed host, each tried, with what the false Internet around it saw (docs/known-issues.md, "The shield").
 */

import { extensionIds, goPrivate, setStage } from '../../../src/browser/index.ts'
import { until } from '../../../src/network/index.ts'
import { fetchInWallet, infura, setShieldedInternet } from '../shieldStage.ts'
import { watchInternet } from './watch.ts'

const watch = await watchInternet()
const internet = await setShieldedInternet({ isEnclosed: true })
const stage = await setStage(internet.stageOptions)

/** What `act` read, and how often it was looked up and connected to directly meanwhile. */
async function watched(act: () => Promise<string>) {
  const before = { lookups: watch.lookups.length, connections: watch.connections.length, datagrams: watch.datagrams }
  const read = await act()
  return {
    read,
    lookups: watch.lookups.slice(before.lookups).filter((name) => name === infura).length,
    connections: watch.connections.slice(before.connections).filter((each) => each.startsWith(infura)).length,
    datagrams: watch.datagrams - before.datagrams,
  }
}

const url = `https://${infura}/windows`
const earlyUrl = internet.pagesUrl.replace('fetcher.html', 'early.html')
const isUp = () => until('the shield is up', async () => (await fetchInWallet(stage, url)) === infura)

/** In the page where extensions are managed, which may do so. */
async function setEnabled(isEnabled: boolean): Promise<void> {
  const page = await stage.browser.context.newPage()
  await page.goto('chrome://extensions')
  await page.evaluate(
    `new Promise((done) => chrome.management.setEnabled('${extensionIds.nightjar}', ${isEnabled}, done))`,
  )
  await page.close()
}

try {
  await goPrivate(stage)
  await isUp()

  // The browser's own choice of what to open first, as "continue where you left off" and home pages have it.
  const start = await watched(async () => {
    await stage.restartBrowser(`--homepage=${earlyUrl}`, '--restore-last-session')
    const page = stage.browser.context.pages()[0] ?? (await stage.browser.context.newPage())
    if (!page.url().endsWith('early.html')) await page.goto(earlyUrl)
    return page.evaluate('early')
  })
  await isUp()

  const disabled = await watched(async () => {
    await setEnabled(false)
    return fetchInWallet(stage, url)
  })
  await setEnabled(true)
  const enabledAgain = await watched(async () => {
    await isUp()
    return 'up'
  })

  // The last: its datagrams and lookups go on for seconds, and would count as those of the next window.
  const webRtc = await watched(async () => {
    const page = await stage.browser.context.newPage()
    await page.goto(internet.pagesUrl)
    const before = watch.lookups.length
    await page.evaluate(`{
      globalThis.peer = new RTCPeerConnection({ iceServers: [{ urls: 'stun:${infura}:443' }] })
      peer.createDataChannel('x')
      void peer.createOffer().then((offer) => peer.setLocalDescription(offer))
    }`)
    await until('its server is looked up', async () => watch.lookups.slice(before).includes(infura))
    return 'looked up'
  })
  console.log(JSON.stringify({ webRtc, start, disabled, enabledAgain }))
} finally {
  await stage.stop()
  await internet.close()
  watch.close()
}
