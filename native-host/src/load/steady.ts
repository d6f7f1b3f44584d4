/**
 * Many clients that ask at a steady rate until told to stop: what runs beside faults and hostile clients (e2e/src/chaos).
 * Requests begin at the rate whether or not earlier ones are answered, up to a bound. Each read is an eth_call of the echo
 * contract with data of its own, so an answer that belongs to another is noticed; transactions go out between them.
 */
import { asNightjarError } from '@nightjar/shared/errors'
import type { Call, Outcome } from '@nightjar/shared/rpc'
import { millisecond, pause, second } from '@nightjar/shared/runtime'
import type { Client } from '../client/client.ts'
import { type RequestLoad, startClient, untilUp } from './requests.ts'

export interface SteadyLoad extends Omit<RequestLoad, 'requests' | 'concurrency' | 'call' | 'onProgress'> {
  /** Requests begun per second, over all clients. */
  readonly rate: number
  readonly mostInFlight: number
  /** A contract that answers with its input. */
  readonly echo: string
  /** Signed ones; each is sent once, one for every so many reads. */
  readonly transactions: readonly string[]
  /** Ends the asking; what is in flight is still waited for. */
  readonly stop: AbortSignal
  /** All clients have paths. */
  onReady(): void
  onWindow(window: SteadyWindow): void
}

/** What happened in about a second. */
export interface SteadyWindow {
  /** Its end, in milliseconds since the Unix epoch. */
  readonly at: number
  asked: number
  answered: number
  /** Answers that belong to another question. */
  wrong: number
  /** Requests that ended with an error, by its code. */
  readonly failed: Record<string, number>
  /** Not begun, because as many as may be were in flight. */
  held: number
  inFlight: number
  /** How long each answer took, in milliseconds. */
  readonly ms: number[]
  /** What became of transactions, by their place in the list: `ok` or the code. */
  readonly transactions: [number, string][]
}

export interface SteadyResult {
  readonly clients: number
  readonly asked: number
  readonly answered: number
  readonly wrong: number
  readonly failed: Readonly<Record<string, number>>
  readonly held: number
  /** Neither answered nor failed when nobody waited any more. */
  readonly lost: number
}

const tick = 10 * millisecond
const windowLength = 1 * second
const readsPerTransaction = 10
/** Longer than any request may take. */
const settleTimeout = 90 * second

export async function loadSteadily(load: SteadyLoad): Promise<SteadyResult> {
  const clients = Array.from({ length: load.clients }, () => startClient(load))
  try {
    await Promise.all(clients.map((client) => untilUp(load.clock, client)))
    load.onReady()
    return await run(load, clients)
  } finally {
    await Promise.all(clients.map((client) => client.stop()))
  }
}

async function run(load: SteadyLoad, clients: readonly Client[]): Promise<SteadyResult> {
  const { clock } = load
  const total = { asked: 0, answered: 0, wrong: 0, held: 0 }
  const failed: Record<string, number> = {}
  let window = emptyWindow(clock.now() + windowLength)
  let inFlight = 0
  let nextTransaction = 0

  function count(code: string): void {
    window.failed[code] = (window.failed[code] ?? 0) + 1
    failed[code] = (failed[code] ?? 0) + 1
  }

  async function ask(number: number): Promise<void> {
    const client = clients[number % clients.length] as Client
    const isTransaction = number % readsPerTransaction === 0 && nextTransaction < load.transactions.length
    const transaction = isTransaction ? nextTransaction++ : undefined
    const data = `0x00${number.toString(16).padStart(64, '0')}`
    const call: Call =
      transaction === undefined
        ? { method: 'eth_call', params: [{ to: load.echo, data }, 'latest'] }
        : { method: 'eth_sendRawTransaction', params: [load.transactions[transaction] as string] }
    const begun = performance.now()
    let code = 'ok'
    try {
      const outcome = await client.request({ group: 'load', chain: load.chain, call })
      if ('error' in outcome) code = codeOf(outcome)
      else if (transaction === undefined && outcome.result !== data) {
        total.wrong += 1
        window.wrong += 1
      }
    } catch (error) {
      code = asNightjarError(error).code
    }
    inFlight -= 1
    if (transaction !== undefined) window.transactions.push([transaction, code])
    if (code !== 'ok') return count(code)
    total.answered += 1
    window.answered += 1
    window.ms.push(Math.round(performance.now() - begun))
  }

  function closeWindow(): void {
    window.inFlight = inFlight
    load.onWindow(window)
    window = emptyWindow(window.at + windowLength)
  }

  function begin(): void {
    if (inFlight >= load.mostInFlight) {
      total.held += 1
      window.held += 1
      return
    }
    inFlight += 1
    window.asked += 1
    void ask(total.asked++)
  }

  const begun = performance.now()
  for (let due = 0; !load.stop.aborted; ) {
    for (const now = ((performance.now() - begun) * load.rate) / second; due < now; due++) begin()
    await pause(clock, tick)
    if (clock.now() >= window.at) closeWindow()
  }
  const deadline = clock.now() + settleTimeout
  while (inFlight > 0 && clock.now() < deadline) {
    await pause(clock, tick)
    if (clock.now() >= window.at) closeWindow()
  }
  closeWindow()
  return { clients: clients.length, ...total, failed, lost: inFlight }
}

function emptyWindow(at: number): SteadyWindow {
  return { at, asked: 0, answered: 0, wrong: 0, failed: {}, held: 0, inFlight: 0, ms: [], transactions: [] }
}

/** Ours, if the gateway gave one; otherwise the node's number. */
function codeOf({ error }: Extract<Outcome, { error: unknown }>): string {
  const { data } = error
  const ours = typeof data === 'object' && data !== null && 'nightjar' in data ? data.nightjar : undefined
  return typeof ours === 'string' ? ours : `node ${error.code}`
}
