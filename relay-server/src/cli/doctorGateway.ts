/**
 * What `doctor` looks at of a gateway beyond its upstreams: where new blocks are pushed from, and where raw transactions
 * go. Their URLs may hold secrets: each is called by its place in the configuration.
 */
import { once } from 'node:events'
import { second } from '@nightjar/shared/runtime'
import { WebSocket } from 'ws'
import type { RelayConfig } from '../config.ts'
import type { Finding } from './finding.ts'
import { askProvider, isNoAnswer, ofError, type RpcAnswer, splitUrl } from './rpcQuestion.ts'

const answerTimeout = 10 * second
const answerBytes = 1024 * 1024

export async function checkPushedHeads({ gateway }: RelayConfig): Promise<readonly Finding[]> {
  const places = Object.entries(gateway?.chains ?? {}).flatMap(([chain, { heads_url: url }]) =>
    url === undefined ? [] : [{ subject: `gateway.chains.${chain}.heads_url`, chain: Number(chain), url }],
  )
  return Promise.all(places.map(headsFinding))
}

export async function checkTransactions({ gateway }: RelayConfig): Promise<readonly Finding[]> {
  const places = Object.entries(gateway?.chains ?? {}).flatMap(([chain, { transactions }]) =>
    transactions === undefined
      ? []
      : [{ subject: `gateway.chains.${chain}.transactions`, chain: Number(chain), url: transactions.url }],
  )
  return Promise.all(places.map(transactionsFinding))
}

interface Place {
  readonly subject: string
  readonly chain: number
  readonly url: string
}

async function headsFinding({ subject, chain, url }: Place): Promise<Finding> {
  const { address, headers } = splitUrl(url)
  const socket = new WebSocket(address, { headers, handshakeTimeout: answerTimeout, maxPayload: answerBytes })
  let failure: Error | undefined
  // The first says why; once it is terminated nobody awaits any.
  socket.on('error', (error) => {
    failure ??= error
  })
  try {
    const served = await answered(socket, 'eth_chainId', [])
    if (served === undefined) return noAnswer(subject, failure)
    if (chainIn(served) !== chain) return otherChain(subject, chainIn(served), chain)
    const subscribed = await answered(socket, 'eth_subscribe', ['newHeads'])
    if (typeof subscribed?.result === 'string')
      return { subject, status: 'ok', finding: `pushes blocks of chain ${chain}` }
    const finding = 'does not push new blocks (eth_subscribe of newHeads)'
    const remedy = 'Ask its operator for a WebSocket URL that does, or leave heads_url out: blocks are then looked for.'
    return { subject, status: 'problem', finding, remedy, code: 'upstream-failed' }
  } finally {
    socket.terminate()
  }
}

async function transactionsFinding({ subject, chain, url }: Place): Promise<Finding> {
  const answer = await askProvider(url, question('eth_chainId', []))
  if (isNoAnswer(answer)) return { subject, status: 'problem', ...answer, code: 'upstream-failed' }
  const served = chainIn(answer)
  // Such a service need not answer anything but transactions.
  if (served === undefined) return { subject, status: 'ok', finding: 'answers, and does not say for which chain' }
  return served === chain
    ? { subject, status: 'ok', finding: `serves chain ${chain}` }
    : otherChain(subject, served, chain)
}

function noAnswer(subject: string, failure: Error | undefined): Finding {
  if (failure !== undefined) return { subject, status: 'problem', ...ofError(failure), code: 'upstream-failed' }
  const finding = 'gives no answer, or none of JSON-RPC'
  const remedy = 'Check its URL, and with its operator whether the key in it is good and has quota left.'
  return { subject, status: 'problem', finding, remedy, code: 'upstream-failed' }
}

function otherChain(subject: string, served: number | undefined, chain: number): Finding {
  const finding = served === undefined ? 'gives no chain id' : `serves chain ${served}, not ${chain}`
  return { subject, status: 'problem', finding, remedy: 'Give a URL of this chain.', code: 'chain-not-served' }
}

function chainIn({ result }: RpcAnswer): number | undefined {
  return typeof result === 'string' && /^0x[0-9a-f]{1,13}$/i.test(result) ? Number(result) : undefined
}

/** Undefined where none comes, for whatever reason: its words may quote the URL. */
async function answered(socket: WebSocket, method: string, params: readonly string[]): Promise<RpcAnswer | undefined> {
  const closed = new AbortController()
  const onClose = () => closed.abort()
  socket.once('close', onClose)
  const signal = AbortSignal.any([closed.signal, AbortSignal.timeout(answerTimeout)])
  try {
    if (socket.readyState === WebSocket.CONNECTING) await once(socket, 'open', { signal })
    socket.send(question(method, params))
    const [text] = (await once(socket, 'message', { signal })) as [Buffer]
    return JSON.parse(String(text)) as RpcAnswer
  } catch {
    return undefined
  } finally {
    socket.off('close', onClose)
  }
}

function question(method: string, params: readonly string[]): string {
  return JSON.stringify({ jsonrpc: '2.0', id: 1, method, params })
}
