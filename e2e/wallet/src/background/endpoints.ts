/**
 * How the wallet speaks to an RPC endpoint: one POST for each request, repeated where the socket closes or the server
 * fails (HTTP 5xx, no JSON), and a circuit breaker for each URL, with the figures of MetaMask 13.5. A JSON-RPC error
 * is an answer like any other. The breaker lives as long as the service worker.
 */
import { RpcError, type RpcErrorObject, resourceUnavailable } from '../rpcError.ts'

export interface Endpoints {
  /** @throws RpcError what the endpoint answers, or -32002 where nothing can be sent */
  send(url: string, method: string, params: readonly unknown[]): Promise<unknown>
}

const attemptsPerRequest = 5
const failuresToBreak = 7 * attemptsPerRequest
const minute = 60_000
const breakDuration = 30 * minute

interface Circuit {
  failures: number
  openUntil: number
}

/** @param retryDelay milliseconds before the first repetition */
export function createEndpoints(retryDelay: () => Promise<number>): Endpoints {
  const circuits = new Map<string, Circuit>()
  let nextId = 1

  return {
    async send(url, method, params) {
      const circuit = circuits.get(url) ?? { failures: 0, openUntil: 0 }
      circuits.set(url, circuit)
      const body = JSON.stringify({ id: nextId++, jsonrpc: '2.0', method, params })
      const firstDelay = await retryDelay()
      for (let attempt = 1; ; attempt++) {
        refuseIfOpen(circuit)
        try {
          const answer = await post(url, body)
          circuit.failures = 0
          if (answer.error === undefined) return answer.result
          throw new RpcError(answer.error.code, answer.error.message, answer.error.data)
        } catch (error) {
          if (error instanceof RpcError) throw error
          circuit.failures += 1
          if (circuit.failures >= failuresToBreak) circuit.openUntil = Date.now() + breakDuration
          if (attempt === attemptsPerRequest) throw error
        }
        await new Promise((resolve) => setTimeout(resolve, firstDelay * 2 ** (attempt - 1)))
      }
    },
  }
}

function refuseIfOpen({ openUntil }: Circuit): void {
  const left = openUntil - Date.now()
  if (left <= 0) return
  throw resourceUnavailable(
    `RPC endpoint returned too many errors, retrying in ${(left / minute).toFixed(2)} minutes. ` +
      'Consider using a different RPC endpoint.',
  )
}

interface Answer {
  readonly result?: unknown
  readonly error?: RpcErrorObject
}

/** @throws RpcError for a refusal by HTTP that repeating does not help; any other error where it may */
async function post(url: string, body: string): Promise<Answer> {
  const headers = { Accept: 'application/json', 'Content-Type': 'application/json' }
  const response = await fetch(url, { method: 'POST', headers, body, credentials: 'omit' })
  if (response.status >= 500) throw new Error(`RPC endpoint not found or unavailable (HTTP ${response.status}).`)
  if (!response.ok) {
    throw new RpcError(-32080, 'RPC endpoint returned HTTP client error.', { httpStatus: response.status })
  }
  return (await response.json()) as Answer
}
