/** The pages and extensions that are connected now, each by its port; what they are told without having asked. */
import type { Hex } from 'viem'
import { type Envelope, isEnvelope, providerChannel, type RpcMessage } from '../page/stream.ts'
import { toErrorObject } from '../rpcError.ts'

export interface Client {
  readonly origin: string
  notify(method: string, params: unknown): void
}

export interface Call {
  readonly method: string
  readonly params: unknown
}

export interface Sites {
  attach(port: chrome.runtime.Port): void
  readonly clients: readonly Client[]
}

/** `onGone` is called when a client's port has closed. */
export function createSites(
  answer: (client: Client, call: Call) => Promise<unknown>,
  onGone: (client: Client) => void,
): Sites {
  const clients = new Set<Client>()
  /** By document and id. */
  const underWay = new Map<string, Promise<RpcMessage>>()

  /**
   * The answer to a request. A page that connects again asks again what it asked before, and that may be under way: a
   * port that was opened while a worker was ending reaches the next one even though the page was told it failed.
   */
  function answerOnce(document: string, client: Client, id: number | string, call: Call): Promise<RpcMessage> {
    const key = `${document} ${id}`
    const running = underWay.get(key) ?? outcome(client, id, call).finally(() => underWay.delete(key))
    underWay.set(key, running)
    return running
  }

  async function outcome(client: Client, id: number | string, call: Call): Promise<RpcMessage> {
    try {
      return { id, jsonrpc: '2.0', result: (await answer(client, call)) ?? null }
    } catch (error) {
      return { id, jsonrpc: '2.0', error: toErrorObject(error) }
    }
  }

  return {
    get clients() {
      return [...clients]
    },
    attach(port) {
      const client: Client = {
        origin: originOf(port),
        notify: (method, params) => send({ jsonrpc: '2.0', method, params }),
      }
      const document = port.sender?.documentId ?? crypto.randomUUID()
      clients.add(client)
      port.onDisconnect.addListener(() => {
        clients.delete(client)
        onGone(client)
      })
      port.onMessage.addListener((message: unknown) => {
        if (isEnvelope(message)) void serve(message.data)
      })

      function send(data: RpcMessage): void {
        // An answer may come when the page has gone.
        if (clients.has(client)) port.postMessage({ name: providerChannel, data } satisfies Envelope)
      }

      async function serve({ id, method, params }: RpcMessage): Promise<void> {
        if (id === undefined || typeof method !== 'string') return
        send(await answerOnce(document, client, id, { method, params }))
      }
    },
  }
}

/** The frame's origin as the browser knows it; `chrome-extension://ID` for another extension. */
function originOf({ sender }: chrome.runtime.Port): string {
  if (sender?.id !== undefined && sender.id !== chrome.runtime.id) return `chrome-extension://${sender.id}`
  return sender?.origin ?? 'null'
}

/** Decimal, as `net_version` gives it. */
export function networkVersion(chainId: Hex): string {
  return String(Number(chainId))
}
