/**
 * The content script: runs at `document_start` in every frame of the sites that Nightjar covers, in a world of its own.
 * It joins inpage's port to the background's (bridge.ts) and tells the popup that the page is covered.
 */
import { Bridge, type Runtime } from './bridge.ts'
import { takePort } from './handshake.ts'

type Listener = (message: unknown, sender: { readonly id?: string }, respond: (answer: unknown) => void) => void

/** The little of it that is used here; the polyfill and its promises would only add weight to every page. */
declare const chrome: {
  readonly runtime: Runtime & { readonly onMessage: { addListener(listener: Listener): void } }
}

const { runtime } = chrome

takePort(window, (port) => {
  const bridge = new Bridge(port, runtime, !isPrerendering())
  port.onmessage = ({ data }) => ('accounts' in data ? bridge.show(data) : bridge.ask(data))
  document.addEventListener('prerenderingchange', () => bridge.wake(), { once: true })
  window.addEventListener('pageshow', (event) => {
    // A page can send such an event as well, but none that is trusted.
    if (event.isTrusted && event.persisted) bridge.drop()
  })
})

// Only the extension's own pages and its background can send here, no page and no other content script.
runtime.onMessage.addListener((message, sender, respond) => {
  if (sender.id === runtime.id && isPing(message)) respond({ covered: true })
})

function isPing(message: unknown): boolean {
  return typeof message === 'object' && message !== null && 'ping' in message && message.ping === true
}

/** TypeScript's DOM does not know it yet. */
function isPrerendering(): boolean {
  return (document as Document & { prerendering?: boolean }).prerendering === true
}
