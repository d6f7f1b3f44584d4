/**
 * The provider in the page: runs at `document_start` in every frame of the sites that Nightjar covers, in the page's own
 * world and before MetaMask.
 *
 * What runs here the page can see and change; nothing here is secret from it or trusted by anybody. What is used later
 * is taken along now where that is easy, so that a page with polyfills breaks itself no more than it must. A page learns
 * of Nightjar from the announced provider, and from nothing else that is looked for easily: no globals, no nodes, no
 * events that anybody answers. (A stack trace names the script's file, as that of any wallet does.)
 */
import { offerPort } from '../content/handshake.ts'
import { mark } from '../ui/mark.ts'
import { announce, requestAnnouncements, uuid, wrapAnnouncements } from './announcements.ts'
import { Exchange } from './exchange.ts'
import { Globals } from './globals.ts'
import { createProvider } from './provider.ts'
import { Subscriptions } from './subscriptions.ts'
import { Wallets } from './wallets.ts'

/** After which a subscription that could not be made anew is tried again, in milliseconds. */
const restoreAfter = 10_000

const page = {
  addEventListener: window.addEventListener.bind(window),
  dispatchEvent: window.dispatchEvent.bind(window),
}
const later = window.setTimeout.bind(window)
const soon = window.queueMicrotask.bind(window)
const port = offerPort(window)
// A getter that the page replaced would be handed the event, and with it the port.
const dataOf = Reflect.getOwnPropertyDescriptor(MessageEvent.prototype, 'data')?.get as (this: MessageEvent) => never
const { apply } = Reflect

const exchange = new Exchange({
  post: port.postMessage.bind(port),
  listen(listener) {
    port.onmessage = (event) => listener(apply(dataOf, event, []))
  },
})
const background = {
  exchange,
  subscriptions: new Subscriptions(exchange, (task) => later(task, restoreAfter)),
}

const { provider, useWallet } = createProvider(background, () => requestAnnouncements(page))
const wallets = new Wallets(background, useWallet)
const globals = new Globals(window, { Object, Reflect }, wallets)

// A wallet announces itself before it sets its globals, in one go.
wrapAnnouncements(page, wallets, () => soon(() => globals.takeOver()))
announce(
  page,
  {
    uuid: uuid(crypto.getRandomValues(new Uint8Array(16))),
    name: 'Nightjar',
    icon: `data:image/svg+xml;base64,${btoa(mark)}`,
    rdns: 'app.nightjar',
  },
  provider,
)
