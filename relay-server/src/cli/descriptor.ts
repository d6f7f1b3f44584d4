/** `nightjar-relay descriptor`: what a relay says of itself, signed, for the directories to put into their document. */
import { createHash, X509Certificate } from 'node:crypto'
import { base64, fromBase64 } from '@nightjar/shared/bytes'
import { type DescriptorInput, signDescriptor, verifyDescriptor } from '@nightjar/shared/directory'
import { NightjarError } from '@nightjar/shared/errors'
import { listDigest } from '@nightjar/shared/shield'
import { readText, writeAtomically } from '@nightjar/shared-node/config'
import { Command } from 'commander'
import { loadRelayConfig, type RelayConfig } from '../config.ts'
import { loadKeys, type RelayKey, type RelayKeys } from '../keys.ts'
import type { CliContext } from './context.ts'

/** As many as a descriptor holds. */
const publishedKeys = 4
const certificateBytes = 256 * 1024

export function descriptorCommand(context: CliContext): Command {
  return new Command('descriptor')
    .summary('sign what this relay says of itself')
    .description(
      'Makes the signed descriptor of a relay from its configuration and keys, for the directories of the network. ' +
        'Make a new one whenever keys, roles, chains, the hosts of an exit or the address change.',
    )
    .requiredOption('--config <file>', 'relay.yaml')
    .option('--out <file>', 'write it there instead of to stdout')
    .option('--pin', 'have clients pin the key of listen.tls.cert_file, for a certificate of no public authority')
    .addHelpText('after', '\nExample:\n  nightjar-relay descriptor --config relay.yaml --out relay-eu-1.json')
    .action(async (options: { config: string; out?: string; pin?: true }) => {
      const config = await loadRelayConfig(options.config)
      const keys = await loadKeys(context.crypto, config)
      const text = await makeDescriptor(context, config, keys, options.pin === true)
      if (options.out === undefined) return context.print(text)
      await writeAtomically(options.out, text, 0o644)
      context.print(`${options.out}: send it to the directories of the network\n`)
    })
}

/**
 * The signed descriptor, as the text of its file.
 * @param isPinned whether clients are to pin the key of the certificate
 * @throws NightjarError as `describeRelay`; `file-unusable` and `config-invalid` where there is no key to pin
 */
export async function makeDescriptor(
  context: Pick<CliContext, 'crypto' | 'clock' | 'software'>,
  config: RelayConfig,
  keys: RelayKeys,
  isPinned: boolean,
): Promise<string> {
  const pin = isPinned ? await pinOf(config) : undefined
  const descriptor = describeRelay(config, keys, { now: context.clock.now(), software: context.software, pin })
  const signed = await signDescriptor(keys.identity, descriptor)
  // What a directory would refuse should be told here.
  await verifyDescriptor(context.crypto, { ...signed, signature: fromBase64(signed.signature) })
  return `${JSON.stringify(signed)}\n`
}

/**
 * The descriptor of a relay that runs with `config` and `keys`.
 * @param facts.now milliseconds since the Unix epoch
 * @param facts.pin SHA-256 of its certificate's SubjectPublicKeyInfo
 * @throws NightjarError `file-unusable` where it has no onion key (or, as a gateway, no envelope key) that is valid now
 */
export function describeRelay(
  config: RelayConfig,
  keys: RelayKeys,
  facts: { now: number; software: string; pin?: Uint8Array | undefined },
): DescriptorInput {
  const isGateway = config.roles.includes('gateway')
  const chains = Object.keys(config.gateway?.chains ?? {}).map(Number)
  return {
    version: 1,
    identity: base64(keys.identity.publicKey),
    name: config.server_name,
    onionKeys: published(keys.onion, facts.now, config),
    envelopeKeys: isGateway ? published(keys.envelope, facts.now, config) : [],
    addresses: [{ url: config.public_address, ...(facts.pin === undefined ? {} : { pin: base64(facts.pin) }) }],
    roles: config.roles,
    region: config.region,
    chains: chains.sort((a, b) => a - b),
    ...(config.exit === undefined ? {} : { exitPolicy: exitPolicy(config.exit) }),
    capacity: config.limits.max_connections,
    software: facts.software,
    published: facts.now,
  }
}

function exitPolicy({ categories, without }: NonNullable<RelayConfig['exit']>): DescriptorInput['exitPolicy'] {
  return { list: base64(listDigest(sha256)), categories, without }
}

function sha256(data: Uint8Array): Uint8Array {
  return createHash('sha256').update(data).digest()
}

function published(keys: readonly RelayKey[], now: number, config: RelayConfig): DescriptorInput['onionKeys'] {
  const current = keys.filter((key) => now < key.validUntil)
  if (!current.some((key) => key.validAfter <= now)) {
    throw new NightjarError('file-unusable', {
      detail: `${config.onion_keys_file} has no key that is valid now; run: nightjar-relay keygen --renew --config …`,
    })
  }
  return current.slice(0, publishedKeys).map((key) => ({
    id: base64(key.id),
    key: base64(key.pair.publicKey),
    validAfter: key.validAfter,
    validUntil: key.validUntil,
  }))
}

export async function pinOf(config: RelayConfig): Promise<Uint8Array> {
  const file = config.listen.tls?.cert_file
  if (file === undefined) {
    throw new NightjarError('config-invalid', { detail: '--pin needs listen.tls.cert_file in the configuration' })
  }
  const pem = await readText(file, certificateBytes)
  let spki: Uint8Array
  try {
    spki = new X509Certificate(pem).publicKey.export({ type: 'spki', format: 'der' })
  } catch (cause) {
    throw new NightjarError('file-unusable', { detail: `${file} is no PEM certificate`, cause })
  }
  return sha256(spki)
}
