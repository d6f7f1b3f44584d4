/**
 * `send` and `sendAsync` as MetaMask still has them, on top of `request`, so that old pages ask privately as well.
 *
 *   send(method, params)       a promise of the whole JSON-RPC response
 *   send(payload, callback)    the same as sendAsync
 *   send(payload)              at once, for the few things a wallet knows by heart
 *   sendAsync(payload, callback), where payload may be a batch
 */
import { badRequest, providerError } from './failures.ts'
import { isWallets, type Request } from './requests.ts'

interface Payload {
  readonly id?: unknown
  readonly method?: unknown
  readonly params?: unknown
}

type Callback = (error: unknown, response: unknown) => void

/** @param sendSync the wallet's own `send` */
export function createSend(request: Request, sendSync: (payload: unknown) => unknown) {
  return (payload: unknown, second?: unknown): unknown => {
    if (typeof payload === 'string') return respond(request, { method: payload, params: second })
    if (typeof second === 'function') return createSendAsync(request)(payload, second as Callback)
    const method = (payload as Payload | null | undefined)?.method
    if (typeof method === 'string' && !isWallets(method)) {
      throw providerError(badRequest(`Without a callback ${method} cannot be answered. Use request() instead.`))
    }
    return sendSync(payload)
  }
}

export function createSendAsync(request: Request) {
  return (payload: unknown, callback: Callback): void => {
    const responses = Array.isArray(payload)
      ? Promise.all(payload.map((each) => respond(request, each).catch((error) => failed(each, error))))
      : respond(request, payload)
    // Its own turn: what the callback throws is the page's, and must not come back to it as a second call.
    responses.then(
      (response) => callback(null, response),
      (error) => callback(error, failed(payload, error)),
    )
  }
}

async function respond(request: Request, payload: unknown): Promise<unknown> {
  const { method, params } = (payload ?? {}) as Payload
  // Older pages write null where they have no params.
  const result = await request({ method, ...(params === undefined || params === null ? {} : { params }) })
  return { ...envelope(payload), result }
}

function failed(payload: unknown, error: unknown): unknown {
  return { ...envelope(payload), error }
}

function envelope(payload: unknown): { jsonrpc: '2.0'; id: unknown } {
  return { jsonrpc: '2.0', id: (payload as Payload | null | undefined)?.id ?? null }
}
