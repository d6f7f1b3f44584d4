/**
 * Runs in a namespace (namespace.ts): a whole stage, the shield up, wallet and page asking listed hosts in every way. Its
 * last line says what was read, and what the false Internet around it saw of that.
 */
import { goPrivate, setStage } from '../../../src/browser/index.ts'
import { accountsApi, echoInWallet, fetchIn, fetchInWallet, infura, setShieldedInternet } from '../shieldStage.ts'
import { watchInternet } from './watch.ts'

const watch = await watchInternet()
const internet = await setShieldedInternet({ isEnclosed: true })
const stage = await setStage(internet.stageOptions)
try {
  const beforehand = await fetchInWallet(stage, `https://${infura}/beforehand`)
  const early = { lookups: [...watch.lookups], connections: [...watch.connections] }

  await goPrivate(stage)
  const before = { lookups: watch.lookups.length, connections: watch.connections.length }
  const page = await stage.browser.context.newPage()
  await page.goto(internet.pagesUrl)
  const read = {
    page: await fetchIn(page, 'page', `https://${infura}/page`),
    worker: await fetchIn(page, 'worker', `https://${infura}/worker`),
    serviceWorker: await fetchIn(page, 'serviceWorker', `https://${infura}/service-worker`),
    beacon: await fetchIn(page, 'beacon', `https://${infura}/beacon`),
    webSocket: await fetchIn(page, 'webSocket', `https://${infura}/socket`),
    wallet: await fetchInWallet(stage, `https://${accountsApi}/wallet`),
    walletSocket: await echoInWallet(stage, `wss://${accountsApi}/socket`),
  }
  // A link that the browser may look up beforehand.
  await page.evaluate(`document.head.insertAdjacentHTML('beforeend',
    '<link rel="dns-prefetch" href="//${accountsApi}"><link rel="preconnect" href="https://${accountsApi}">')`)
  const unlisted = await fetchInWallet(stage, 'https://unlisted.example/')
  console.log(
    JSON.stringify({
      ...{ beforehand, early, read, unlisted },
      lookups: watch.lookups.slice(before.lookups),
      connections: watch.connections.slice(before.connections),
      datagrams: watch.datagrams,
      visitors: [...internet.backends.peers],
      exits: stage.network.relays.all.filter(({ roles }) => roles.includes('exit')).map(({ host }) => host),
    }),
  )
} finally {
  await stage.stop()
  await internet.close()
  watch.close()
}
