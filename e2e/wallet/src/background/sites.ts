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

  return {
    get clients() {
      return [...clients]
    },
    attach(port) {
      const client: Client = {
        origin: originOf(port),
        notify: (method, params) => send({ jsonrpc: '2.0', method, params }),
      }
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
        try {
          send({ id, jsonrpc: '2.0', result: (await answer(client, { method, params })) ?? null })
        } catch (error) {
          send({ id, jsonrpc: '2.0', error: toErrorObject(error) })
        }
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
