/**
 * How the two scripts in a page find each other: inpage, which shares the page's world, hands one end of a message
 * channel to the content script, in an event that both see though their worlds differ.
 *
 * It happens at `document_start`, in one go, before any script of the page exists, and leaves no listener behind: from
 * then on no event that a page could send or wait for belongs to Nightjar. Whoever of the two runs second starts it
 * (the background registers the content script first).
 */

/** `offer` carries the port; `call` asks for an offer that nobody took. */
const offer = 'nightjar-offer'
const call = 'nightjar-call'

/** What both need of `window`. */
export interface Scope {
  addEventListener(type: string, listener: (event: Event) => void, options?: AddEventListenerOptions | boolean): void
  dispatchEvent(event: Event): boolean
}

/** Inpage's half: the port whose other end the content script has, or will have. */
export function offerPort(scope: Scope): MessagePort {
  const { port1, port2 } = new MessageChannel()
  const isTaken = () => !scope.dispatchEvent(new MessageEvent(offer, { ports: [port2], cancelable: true }))
  if (!isTaken()) once(scope, call, isTaken)
  return port1
}

/** The content script's half. */
export function takePort(scope: Scope, use: (port: MessagePort) => void): void {
  once(scope, offer, (event) => {
    const port = (event as MessageEvent).ports[0]
    if (port === undefined) return
    event.preventDefault()
    use(port)
  })
  scope.dispatchEvent(new Event(call))
}

function once(scope: Scope, type: string, listener: (event: Event) => void): void {
  const stopAndListen = (event: Event) => {
    event.stopImmediatePropagation()
    listener(event)
  }
  scope.addEventListener(type, stopAndListen, { capture: true, once: true })
}
