/**
 * The stream between a page's provider and the content script: window messages `{ target, data }` behind a handshake
 * (SYN, ACK), as MetaMask's post-message-stream sends them. Whoever is there first waits for the other.
 */

export const inpageName = 'metamask-inpage'
export const contentName = 'metamask-contentscript'
/** The one channel of MetaMask's multiplexer that matters to EIP-1193. */
export const providerChannel = 'metamask-provider'

/** What travels on it: a JSON-RPC request, response or notification. */
export interface Envelope {
  readonly name: typeof providerChannel
  readonly data: RpcMessage
}

export interface RpcMessage {
  readonly jsonrpc?: '2.0'
  readonly id?: number | string
  readonly method?: string
  readonly params?: unknown
  readonly result?: unknown
  readonly error?: { readonly code: number; readonly message: string; readonly data?: unknown }
}

export function isEnvelope(value: unknown): value is Envelope {
  return isObject(value) && value.name === providerChannel && isObject(value.data)
}

/** @returns what sends a message to `target` */
export function openPageStream(
  name: string,
  target: string,
  receive: (message: RpcMessage) => void,
): (message: RpcMessage) => void {
  let isOpen = false
  const waiting: Envelope[] = []
  // A document without an origin (a sandboxed frame) can only be addressed by the wildcard.
  const destination = location.origin === 'null' ? '*' : location.origin
  const post = (data: unknown) => window.postMessage({ target, data }, destination)

  function open(): void {
    isOpen = true
    for (const envelope of waiting.splice(0)) post(envelope)
  }

  window.addEventListener('message', ({ source, data: message }: MessageEvent<unknown>) => {
    if (source !== window || !isObject(message) || message.target !== name) return
    if (message.data === 'SYN') {
      post('ACK')
      open()
    } else if (message.data === 'ACK') {
      open()
    } else if (isEnvelope(message.data)) {
      receive(message.data.data)
    }
  })
  post('SYN')

  return (data) => {
    const envelope: Envelope = { name: providerChannel, data }
    if (isOpen) post(envelope)
    else waiting.push(envelope)
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
