/** What `check-config` looks at beside the configuration itself: keys, certificates, the network document. */
import { X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { createSecureContext } from 'node:tls'
import { hex } from '@nightjar/shared/bytes'
import { type Relay, verifyDocument } from '@nightjar/shared/directory'
import { purpose } from '@nightjar/shared/handshake'
import { day } from '@nightjar/shared/runtime'
import { readSecret, readText } from '@nightjar/shared-node/config'
import { readDocument } from '@nightjar/shared-node/network'
import { type RelayConfig, trustOf } from '../config.ts'
import { type KeyUse, loadKeys, type RelayKey, type RelayKeys, usesOf } from '../keys.ts'
import type { CliContext } from './context.ts'
import { type Finding, problem } from './finding.ts'
import { checkListed, listedAddress, sendDescriptor } from './listed.ts'

const certificateBytes = 256 * 1024
/** A certificate that ends sooner should have been renewed by whatever renews it. */
const renewalTime = 14 * day

export async function checkKeys(
  { crypto, clock }: CliContext,
  config: RelayConfig,
  configFile: string,
): Promise<{ keys: RelayKeys | undefined; findings: readonly Finding[] }> {
  try {
    const keys = await loadKeys(crypto, config)
    const now = clock.now()
    const findings = usesOf(config).map((use) => keyFinding(use, keys[use], now, config, configFile))
    return { keys, findings: [{ subject: config.identity_file, status: 'ok', finding: 'identity key' }, ...findings] }
  } catch (error) {
    const finding = problem('keys', error)
    const remedy = `${finding.remedy} Where there are none yet: nightjar-relay keygen --config ${configFile}`
    return { keys: undefined, findings: [{ ...finding, remedy }] }
  }
}

function keyFinding(
  use: KeyUse,
  keys: readonly RelayKey[],
  now: number,
  config: RelayConfig,
  configFile: string,
): Finding {
  const subject = config.onion_keys_file
  const remedy = `Run: nightjar-relay keygen --renew --config ${configFile}`
  if (!keys.some((key) => key.validAfter <= now && now < key.validUntil)) {
    return { subject, status: 'problem', finding: `no ${use} key is valid now`, remedy, code: 'file-unusable' }
  }
  const last = Math.max(...keys.map((key) => key.validUntil))
  const finding = `${use} keys until ${new Date(last).toISOString()}`
  if (keys.some((key) => now < key.validAfter)) return { subject, status: 'ok', finding }
  return { subject, status: 'note', finding: `${finding}, and none for the time after`, remedy }
}

/** The PEM files that the configuration names. `listed` is what clients are told of this relay. */
export async function checkFiles(
  config: RelayConfig,
  now: number,
  listed: Relay | undefined,
): Promise<readonly Finding[]> {
  const { tls } = config.listen
  const findings: Finding[] = []
  if (tls !== undefined) {
    const isPinned =
      config.descriptor?.pin === true || (listed !== undefined && listedAddress(listed, config)?.pin !== undefined)
    findings.push(...(await certificateFindings(tls, now, isPinned ? undefined : config.public_address)))
  }
  const caFile = config.network.ca_file
  if (caFile !== undefined) findings.push(await authorityFinding(caFile))
  return findings
}

/** @param url that it must be for; undefined where clients know its key, and look at no name */
async function certificateFindings(
  tls: { cert_file: string; key_file: string },
  now: number,
  url: string | undefined,
): Promise<readonly Finding[]> {
  const subject = tls.cert_file
  try {
    const cert = await readText(tls.cert_file, certificateBytes)
    const key = (await readSecret(tls.key_file)).reveal()
    if (!belongTogether(cert, key)) {
      const remedy = `Give the certificate, with its chain, and the key that belongs to it (${tls.key_file}), both as PEM.`
      return [{ subject, status: 'problem', finding: 'no certificate and key that fit', remedy, code: 'file-unusable' }]
    }
    const certificate = new X509Certificate(cert)
    return [
      timeFinding(subject, certificate, now),
      ...(url === undefined ? [] : nameFindings(subject, certificate, url)),
    ]
  } catch (error) {
    return [problem(subject, error)]
  }
}

function timeFinding(subject: string, certificate: X509Certificate, now: number): Finding {
  const until = Date.parse(certificate.validTo)
  const finding = `certificate until ${new Date(until).toISOString()}`
  if (now + renewalTime < until) return { subject, status: 'ok', finding }
  if (now < until) return { subject, status: 'note', finding: `${finding}, which is soon`, remedy: 'Renew it.' }
  return { subject, status: 'problem', finding: `${finding}: expired`, remedy: 'Renew it.', code: 'file-unusable' }
}

function nameFindings(subject: string, certificate: X509Certificate, url: string): readonly Finding[] {
  const host = new URL(url).hostname.replace(/^\[|\]$/g, '')
  const fits = isIP(host) === 0 ? certificate.checkHost(host) : certificate.checkIP(host)
  if (fits !== undefined) return []
  const names = certificate.subjectAltName ?? certificate.subject
  const finding = `certificate is for ${names.replaceAll('\n', ', ')}, and not for ${host}: clients refuse it`
  const remedy =
    'Give a certificate for the host of public_address, or correct that; or set descriptor.pin, and send the descriptor to the directories.'
  return [{ subject, status: 'problem', finding, remedy, code: 'file-unusable' }]
}

function belongTogether(cert: string, key: string): boolean {
  try {
    createSecureContext({ cert, key })
    return true
  } catch {
    // OpenSSL's words help nobody; the caller says what to do.
    return false
  }
}

async function authorityFinding(file: string): Promise<Finding> {
  try {
    const pem = await readText(file, certificateBytes)
    try {
      const { subject } = new X509Certificate(pem)
      return { subject: file, status: 'ok', finding: `private CA: ${subject.replaceAll('\n', ', ')}` }
    } catch {
      const remedy = 'Give the certificates of the CA as PEM.'
      return { subject: file, status: 'problem', finding: 'no PEM certificate', remedy, code: 'file-unusable' }
    }
  } catch (error) {
    return problem(file, error)
  }
}

/** `listed` is what the document says of this relay. */
export async function checkDocument(
  { crypto, clock }: CliContext,
  config: RelayConfig,
  keys: RelayKeys | undefined,
): Promise<{ listed: Relay | undefined; findings: readonly Finding[] }> {
  const subject = config.network.document
  try {
    const now = clock.now()
    const text = await readDocument(config.network.document)
    const network = await verifyDocument(crypto, text, { trust: trustOf(config), now })
    const until = new Date(network.validUntil).toISOString()
    const facts = `version ${network.version}, relays: ${network.relays.length}, valid until ${until}`
    const accepted: Finding = { subject, status: 'ok', finding: facts }
    if (keys === undefined) return { listed: undefined, findings: [accepted] }

    const listed = network.byIdentity.get(hex(keys.identity.publicKey))
    if (listed === undefined) {
      const finding = 'this relay is not in it, so no client will use it'
      return { listed, findings: [accepted, { subject, status: 'note', finding, remedy: sendDescriptor }] }
    }
    const differences = await checkListed(subject, listed, config)
    const usable = listed.onionKeys.some((key) => keys.findKey(key.id, purpose.hop, now) !== undefined)
    if (usable) {
      const known: Finding = { subject, status: 'ok', finding: `lists this relay as ${listed.name}` }
      return { listed, findings: [accepted, known, ...differences] }
    }
    const finding = 'lists none of the onion keys that this relay has now, so no client can use it'
    const unknown: Finding = { subject, status: 'problem', finding, remedy: sendDescriptor, code: 'unknown-key' }
    return { listed, findings: [accepted, unknown, ...differences] }
  } catch (error) {
    return { listed: undefined, findings: [problem(subject, error)] }
  }
}
