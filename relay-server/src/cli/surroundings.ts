/**
 * What `doctor` looks at around the relay: its address as clients use it, names, and the providers of a gateway.
 * URLs of providers may hold secrets: a provider is called by its place in the configuration.
 */
import { CircuitTable } from '@nightjar/shared/circuit'
import type { Relay } from '@nightjar/shared/directory'
import { asNightjarError, type NightjarError } from '@nightjar/shared/errors'
import { minute } from '@nightjar/shared/runtime'
import { readText } from '@nightjar/shared-node/config'
import { codeOf } from '@nightjar/shared-node/log'
import type { RelayConfig } from '../config.ts'
import type { CliContext } from './context.ts'
import { pinOf } from './descriptor.ts'
import type { Finding } from './finding.ts'
import { listedAddress } from './listed.ts'
import { askProvider, isNoAnswer } from './rpcQuestion.ts'

const certificateBytes = 1024 * 1024

/** Dials the relay as clients do, if it runs: name, port, TLS and path in one. `listed` is what they are told of it. */
export async function checkReachable(
  context: CliContext,
  config: RelayConfig,
  { isRunning, listed }: { isRunning: boolean; listed: Relay | undefined },
): Promise<readonly Finding[]> {
  const subject = config.public_address
  if (!isRunning) return [{ subject, status: 'note', finding: 'not tried, as the relay does not run now' }]
  try {
    const { clock } = context
    const address = listed === undefined ? undefined : listedAddress(listed, config)
    // Of an address that no client is told of yet, the pin that it will have.
    const pin = address === undefined ? await ownPin(config) : address.pin
    const caFile = config.network.ca_file
    const extraCa = caFile === undefined ? undefined : await readText(caFile, certificateBytes)
    const table = new CircuitTable()
    const link = await context.dial({ url: subject, pin, extraCa, table, clock, idleAfter: minute })
    link.close('done')
    return [{ subject, status: 'ok', finding: 'takes links, as clients open them' }]
  } catch (error) {
    return [{ subject, status: 'problem', ...noLink(asNightjarError(error)) }]
  }
}

function ownPin(config: RelayConfig): Promise<Uint8Array> | undefined {
  return config.descriptor?.pin === true ? pinOf(config) : undefined
}

function noLink({ code, detail, cause }: NightjarError): Pick<Finding, 'finding' | 'remedy' | 'code'> {
  const why = detail ?? (cause instanceof Error ? codeOf(cause) : undefined)
  const finding = why === undefined ? 'takes no link from here' : `takes no link from here: ${why}`
  const remedy =
    'Open the port in the firewall and forward it to this machine; see that its certificate is for this name, or the one that the document has a pin of.'
  return { finding, remedy, code }
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
  const answer = await askProvider(url, '{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[]}')
  if (isNoAnswer(answer)) return { subject, status: 'problem', ...answer, code: 'upstream-failed' }
  const { result } = answer
  if (typeof result !== 'string' || !/^0x[0-9a-f]{1,13}$/i.test(result)) {
    const remedy = 'Check its URL, and with its operator whether the key in it is good and has quota left.'
    return { subject, status: 'problem', finding: 'gives no chain id', remedy, code: 'upstream-failed' }
  }
  const served = Number(result)
  if (served === chain) return { subject, status: 'ok', finding: `serves chain ${chain}` }
  const finding = `serves chain ${served}, not ${chain}`
  return { subject, status: 'problem', finding, remedy: 'Give a provider of this chain.', code: 'chain-not-served' }
}
