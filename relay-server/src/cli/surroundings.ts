/**
 * What `doctor` looks at around the relay: its port, its address as clients use it, names, and the providers of a gateway.
 * URLs of providers may hold secrets: a provider is called by its place in the configuration.
 */
import { createServer } from 'node:net'
import { CircuitTable } from '@nightjar/shared/circuit'
import { asNightjarError } from '@nightjar/shared/errors'
import { minute, second } from '@nightjar/shared/runtime'
import { readText } from '@nightjar/shared-node/config'
import type { RelayConfig } from '../config.ts'
import { authorization } from '../gateway/credentials.ts'
import type { CliContext } from './context.ts'
import { pinOf } from './descriptor.ts'
import type { Finding } from './finding.ts'

const answerTimeout = 10 * second
const certificateBytes = 1024 * 1024

/** Whether the relay can listen, or does. */
export async function checkPort({ listen: { host, port }, admin }: RelayConfig): Promise<readonly Finding[]> {
  const subject = `${host}:${port}`
  const code = await bindCode(host, port)
  if (code === undefined) return [{ subject, status: 'ok', finding: 'free' }]
  if (code === 'EADDRINUSE' && (await isServing(admin))) {
    return [{ subject, status: 'ok', finding: 'taken, and a relay answers on the health port' }]
  }
  return [{ subject, status: 'problem', code: 'connect-failed', ...(bindProblems[code] ?? otherProblem(code)) }]
}

const bindProblems: Readonly<Record<string, Pick<Finding, 'finding' | 'remedy'>>> = {
  EADDRINUSE: {
    finding: 'another program listens there, or a relay whose health port does not answer',
    remedy: 'End that program, or set another listen.port.',
  },
  EACCES: {
    finding: 'this user may not listen on so low a port',
    remedy: 'Set AmbientCapabilities=CAP_NET_BIND_SERVICE in the systemd unit, or a listen.port from 1024 on.',
  },
  EADDRNOTAVAIL: {
    finding: 'this machine does not have that address',
    remedy: 'Set listen.host to an address of this machine, or to 0.0.0.0.',
  },
}

function otherProblem(code: string): Pick<Finding, 'finding' | 'remedy'> {
  return { finding: `cannot be listened on: ${code}`, remedy: 'Correct listen.host and listen.port.' }
}

/** Why `host:port` cannot be listened on; undefined where it can. */
function bindCode(host: string, port: number): Promise<string | undefined> {
  const server = createServer()
  return new Promise((resolve) => {
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'unknown error'))
    server.listen({ host, port }, () => server.close(() => resolve(undefined)))
  })
}

async function isServing({ host, health_port: port }: RelayConfig['admin']): Promise<boolean> {
  const at = host.includes(':') ? `[${host}]` : host
  try {
    const response = await fetch(`http://${at}:${port}/health`, { signal: AbortSignal.timeout(answerTimeout) })
    return typeof ((await response.json()) as { status?: unknown }).status === 'string'
  } catch {
    // Nobody, or somebody else.
    return false
  }
}

/** Dials the relay as clients do, if it runs: name, port, TLS and path in one. */
export async function checkReachable(context: CliContext, config: RelayConfig): Promise<readonly Finding[]> {
  const subject = config.public_address
  if (!(await isServing(config.admin))) {
    return [{ subject, status: 'note', finding: 'not tried, as the relay does not run now' }]
  }
  try {
    const { clock } = context
    const isPinned = config.descriptor?.pin === true
    const pin = isPinned ? await pinOf(config) : undefined
    const caFile = config.network.ca_file
    const extraCa = caFile === undefined ? undefined : await readText(caFile, certificateBytes)
    const table = new CircuitTable()
    const link = await context.dial({ url: subject, pin, extraCa, table, clock, idleAfter: minute })
    link.close('done')
    return [{ subject, status: 'ok', finding: 'takes links, as clients open them' }]
  } catch (error) {
    const { code } = asNightjarError(error)
    const remedy =
      'Open the port in the firewall and forward it to this machine; see that its certificate is for this name, or set descriptor.pin.'
    return [{ subject, status: 'problem', finding: 'takes no link from here', remedy, code }]
  }
}

/** Every name that the relay has to find the address of. */
export async function checkNames(context: CliContext, config: RelayConfig): Promise<readonly Finding[]> {
  const named = [
    ['public_address', config.public_address],
    ['network.document', config.network.document],
    ...upstreamsOf(config).map(({ place, url }) => [place, url] as const),
  ] as const
  const findings = await Promise.all(named.map(([place, url]) => nameFinding(context, place, url)))
  return findings.flat()
}

async function nameFinding({ resolveName }: CliContext, subject: string, text: string): Promise<readonly Finding[]> {
  const host = URL.parse(text)?.hostname
  // A file, or an address.
  if (host === undefined || host === '' || /^[\d.]+$|^\[/.test(host)) return []
  const addresses = await resolveName(host).catch(() => [])
  if (addresses.length > 0) return [{ subject, status: 'ok', finding: 'its name has an address' }]
  const remedy = 'Correct the name, its DNS record, or the name servers of this machine.'
  return [{ subject, status: 'problem', finding: 'its name has no address', remedy, code: 'name-not-found' }]
}

/** Asks each provider which chain it serves. */
export async function checkUpstreams(config: RelayConfig): Promise<readonly Finding[]> {
  return Promise.all(upstreamsOf(config).map(upstreamFinding))
}

interface Place {
  readonly place: string
  readonly chain: number
  readonly url: string
}

function upstreamsOf({ gateway }: RelayConfig): readonly Place[] {
  return Object.entries(gateway?.chains ?? {}).flatMap(([chain, { upstreams }]) =>
    upstreams.map(({ url }, index) => ({
      place: `gateway.chains.${chain}.upstreams.${index}`,
      chain: Number(chain),
      url,
    })),
  )
}

async function upstreamFinding({ place: subject, chain, url }: Place): Promise<Finding> {
  try {
    const served = await chainOf(url)
    if (served === chain) return { subject, status: 'ok', finding: `serves chain ${chain}` }
    const finding = `serves chain ${served}, not ${chain}`
    return { subject, status: 'problem', finding, remedy: 'Give a provider of this chain.', code: 'chain-not-served' }
  } catch {
    // Its words may quote the URL.
    const remedy = 'Check its URL, and with its operator whether the key in it is good and has quota left.'
    return {
      subject,
      status: 'problem',
      finding: 'gives no chain id',
      remedy,
      code: 'upstream-failed',
    }
  }
}

async function chainOf(text: string): Promise<number> {
  const url = new URL(text)
  const headers = { 'content-type': 'application/json', ...authorization(url) }
  url.username = ''
  url.password = ''
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'eth_chainId', params: [] })
  const response = await fetch(url, { method: 'POST', headers, body, signal: AbortSignal.timeout(answerTimeout) })
  const { result } = (await response.json()) as { result?: unknown }
  if (typeof result !== 'string' || !/^0x[0-9a-f]{1,13}$/i.test(result)) throw new Error('no chain id')
  return Number(result)
}
