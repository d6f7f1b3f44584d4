/**
 * Whether the network document says of this relay what its configuration says. Clients go by the document alone: where the
 * two differ they come to the wrong place, refuse the certificate, or ask for what the relay does not do.
 */
import { equalBytes } from '@nightjar/shared/bytes'
import type { Relay } from '@nightjar/shared/directory'
import type { RelayConfig } from '../config.ts'
import { pinOf } from './descriptor.ts'
import type { Finding } from './finding.ts'

export const sendDescriptor = 'Run `nightjar-relay descriptor` and send the result to the directories.'
const sendPinned = 'Run `nightjar-relay descriptor --pin` and send the result to the directories.'

type Address = Relay['addresses'][number]

/** The address of the document that clients use for `public_address`, with its pin. */
export function listedAddress(listed: Relay, config: Pick<RelayConfig, 'public_address'>): Address | undefined {
  return listed.addresses.find(({ url }) => isSame(url, config.public_address))
}

/** Each difference. @param subject where the document is from */
export async function checkListed(subject: string, listed: Relay, config: RelayConfig): Promise<readonly Finding[]> {
  return [
    ...addressFindings(subject, listed, config),
    ...(await pinFindings(subject, listed, config)),
    ...listFindings(subject, 'roles', listed.roles, config.roles),
    ...listFindings(subject, 'chains', listed.chains, Object.keys(config.gateway?.chains ?? {}).map(Number)),
  ]
}

function addressFindings(subject: string, listed: Relay, config: RelayConfig): readonly Finding[] {
  if (listedAddress(listed, config) !== undefined) return []
  const there = listed.addresses.map(({ url }) => url).join(', ')
  const finding = `has this relay at ${there}, and public_address is ${config.public_address}: clients go to the former`
  const remedy = `Correct public_address, or where it is right: ${sendDescriptor}`
  return [{ subject, status: 'problem', finding, remedy, code: 'connect-failed' }]
}

async function pinFindings(subject: string, listed: Relay, config: RelayConfig): Promise<readonly Finding[]> {
  const { tls } = config.listen
  const address = listedAddress(listed, config) ?? listed.addresses[0]
  // Behind a proxy the certificate is not to be had from a file; whoever dials sees it.
  if (tls === undefined || address === undefined) return []
  if (address.pin === undefined) {
    if (config.descriptor?.pin !== true) return []
    const finding = 'has no pin of the certificate of this relay, and descriptor.pin is true: clients want a public one'
    return [{ subject, status: 'problem', finding, remedy: sendPinned, code: 'handshake-failed' }]
  }
  // A certificate that cannot be read is a finding of its own.
  const own = await pinOf(config).catch(() => undefined)
  if (own === undefined || equalBytes(own, address.pin)) return []
  const finding = `has the pin of another key than that of ${tls.cert_file}: clients refuse this relay`
  const remedy = `Put the certificate back that was there, or one of the same key. Where the new one is to stay: ${sendPinned}`
  return [{ subject, status: 'problem', finding, remedy, code: 'handshake-failed' }]
}

function listFindings<T extends string | number>(
  subject: string,
  what: 'roles' | 'chains',
  there: readonly T[],
  here: readonly T[],
): readonly Finding[] {
  if (there.length === here.length && here.every((each) => there.includes(each))) return []
  const key = what === 'roles' ? 'roles' : 'gateway.chains'
  const finding = `has this relay with ${what} ${inWords(there)}, and ${key} has ${inWords(here)}: clients go by the former`
  const remedy = `Correct ${key}, or where it is right: ${sendDescriptor}`
  const code = what === 'roles' ? 'unknown-service' : 'chain-not-served'
  return [{ subject, status: 'problem', finding, remedy, code }]
}

function inWords(list: readonly (string | number)[]): string {
  return list.length === 0 ? 'none' : list.join(', ')
}

/** As URLs: `wss://a` is `wss://a/`, and 443 need not be said. */
function isSame(one: string, other: string): boolean {
  return URL.parse(one)?.href === URL.parse(other)?.href
}
