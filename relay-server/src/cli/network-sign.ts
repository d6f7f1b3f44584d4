/**
 * `nightjar-relay network sign`: makes a network document from descriptors, or adds a further directory's signature.
 *
 * The version of a new document is the Unix time in seconds, or one more than that of `--previous` where that is
 * greater. So versions rise even where the document before is lost, and also while a clock is behind.
 */
import { base64, equalBytes, fromBase64, hex } from '@nightjar/shared/bytes'
import type { SigningKey } from '@nightjar/shared/crypto'
import {
  type Descriptor,
  documentMessage,
  encodePayload,
  type Network,
  type PayloadInput,
  type SignedDescriptor,
  verifyDescriptor,
  verifyDocument,
} from '@nightjar/shared/directory'
import { NightjarError } from '@nightjar/shared/errors'
import { limits } from '@nightjar/shared/limits'
import { day, hour, minute, second } from '@nightjar/shared/runtime'
import { protocolVersion } from '@nightjar/shared/version'
import { loadConfig, readText, resolveBeside, writeAtomically } from '@nightjar/shared-node/config'
import { Command, Option } from 'commander'
import * as v from 'valibot'
import { isRelayUrl } from '../config.ts'
import { loadSigningKey } from '../keys.ts'
import { networksOf } from './addresses.ts'
import type { CliContext } from './context.ts'
import {
  type DocumentFile,
  encodeDocument,
  joinSignatures,
  malformed,
  markOf,
  naming,
  readDocumentFile,
  type Signature,
} from './document.ts'
import { wholeNumber } from './options.ts'

/** A document is valid from this long ago, for clients whose clock is behind. */
const clockAllowance = 5 * minute
const longestHours = 24
/** Longer is for local networks; ten years. */
const longestLocalHours = 10 * 366 * 24

/** relays.yaml: which relays a document lists, and what the directories say of them. */
const relaysSchema = v.pipe(
  v.array(
    v.strictObject({
      /** The relay's descriptor; relative to this file. */
      descriptor: v.pipe(v.string(), v.nonEmpty('must be a path')),
      /** Who runs it: relays of one operator never share a path. */
      operator: v.pipe(v.string(), v.regex(/^[a-zA-Z0-9][a-zA-Z0-9._-]{0,63}$/, 'must be a name of up to 64 letters')),
      /** Given, it replaces the networks found from the relay's addresses. */
      networks: v.optional(v.pipe(v.array(v.pipe(v.string(), v.maxLength(64))), v.minLength(1), v.maxLength(8))),
    }),
  ),
  v.minLength(1),
  v.maxLength(limits.documentRelays),
)

type ListedRelay = v.InferOutput<typeof relaysSchema>[number]

interface Options {
  readonly relays?: string
  readonly payload?: string
  readonly key: string
  readonly previous?: string
  readonly validHours: number
  readonly local?: true
  readonly out: string
}

export function signCommand(context: CliContext): Command {
  const command = new Command('sign')
    .summary('make a document, or add a signature to one')
    .description(
      'Makes a network document from the descriptors in relays.yaml and signs it; or, with --payload, adds the ' +
        'signature of a further directory to a document that another one made, after checking it.\n\n' +
        'The version is the Unix time in seconds, or one more than that of --previous where that is greater.',
    )
    .addOption(new Option('--relays <file>', 'YAML: the relays to list (see below)').conflicts('payload'))
    .option('--payload <file>', 'a document made by another directory: sign exactly its payload')
    .requiredOption('--key <file>', 'directory key, made by `nightjar-relay keygen --directory FILE`')
    .option('--previous <file>', 'the document before this one')
    .addOption(
      new Option('--valid-hours <n>', `hours that it is valid; at most ${longestHours} unless --local`)
        .argParser(wholeNumber(1, longestLocalHours))
        .default(longestHours),
    )
    .option('--local', 'for a network on one machine: allows a longer validity')
    .requiredOption('--out <file>', 'where the signed document goes')
    .addHelpText(
      'after',
      `
relays.yaml is a list:
  - descriptor: relay-eu-1.json   # made by the relay: nightjar-relay descriptor
    operator: alice               # relays of one operator never share a path
    networks: [192.0.0.0/16]      # optional; else found from its addresses, names being resolved

Examples:
  nightjar-relay network sign --relays relays.yaml --key one.key --previous network.json --out one.json
  nightjar-relay network sign --payload one.json --key two.key --previous network.json --out two.json`,
    )
  command.action(async (options: Options) => {
    if ((options.relays ?? options.payload) === undefined) command.error('error: give either --relays or --payload')
    const key = await loadSigningKey(context.crypto, options.key)
    const previous = options.previous === undefined ? undefined : await readDocumentFile(options.previous)
    const made =
      options.payload === undefined
        ? await signNew(context, key, previous, options)
        : await signAgain(context, key, previous, options.payload, options)
    await writeAtomically(options.out, encodeDocument(made.payload, made.signatures), 0o644)
    context.print(summary(options.out, made))
  })
  return command
}

interface Made {
  readonly payload: Uint8Array
  readonly signatures: readonly Signature[]
  readonly network: Network
}

async function signNew(
  context: CliContext,
  key: SigningKey,
  previous: DocumentFile | undefined,
  options: Options,
): Promise<Made> {
  const { crypto, clock } = context
  const file = options.relays as string
  const now = clock.now()
  requireShort(options.validHours * hour, options.local)
  const validAfter = now - clockAllowance
  const validUntil = validAfter + options.validHours * hour
  const relays: PayloadInput['relays'][number][] = []
  const identities = new Set<string>()
  for (const listed of await loadConfig(file, relaysSchema)) {
    const path = resolveBeside(file, listed.descriptor)
    const text = await readText(path, 2 * limits.descriptorBytes)
    const { entry, descriptor } = await naming(path, () => entryOf(context, text, listed))
    const identity = hex(descriptor.identity)
    if (identities.has(identity)) throw malformed(`${path}: its identity is listed twice`)
    identities.add(identity)
    requireKeys(path, descriptor, now, options.local === true ? now : validUntil - 1)
    relays.push(entry)
  }
  const seconds = Math.floor(now / second)
  const payload = encodePayload({
    version: previous === undefined ? seconds : Math.max(seconds, previous.head.version + 1),
    validAfter,
    validUntil,
    previousHash: base64(previous === undefined ? new Uint8Array(32) : crypto.hash.sha256(previous.payload)),
    minimumProtocol: protocolVersion,
    relays,
  })
  const { signature, network } = await signChecked(context, key, payload, previous)
  return { payload, signatures: [signature], network }
}

async function signAgain(
  context: CliContext,
  key: SigningKey,
  previous: DocumentFile | undefined,
  file: string,
  options: Options,
): Promise<Made> {
  const document = await readDocumentFile(file)
  const { payload, head } = document
  requireShort(head.validUntil - head.validAfter, options.local)
  if (previous !== undefined && head.previousHash !== base64(context.crypto.hash.sha256(previous.payload))) {
    throw new NightjarError('document-rolled-back', { detail: `${file} does not follow ${previous.file}` })
  }
  const { signature, network } = await naming(file, () => signChecked(context, key, payload, previous))
  const others = await joinSignatures(context.crypto, [document])
  const kept = others.filter((other) => !equalBytes(other.key, key.publicKey))
  return { payload, signatures: [...kept, signature], network }
}

/** Signs, and checks the result as a client would that trusts this key alone. Every relay in it must be in order. */
async function signChecked(
  { crypto, clock }: CliContext,
  key: SigningKey,
  payload: Uint8Array,
  previous: DocumentFile | undefined,
): Promise<{ signature: Signature; network: Network }> {
  const signature = { key: key.publicKey, signature: await key.sign(documentMessage(payload)) }
  const network = await verifyDocument(crypto, encodeDocument(payload, [signature]), {
    trust: { keys: [key.publicKey], threshold: 1 },
    now: clock.now(),
    seen: previous === undefined ? undefined : markOf(crypto, previous),
  })
  if (network.rejected > 0) throw malformed(`descriptors that clients would reject: ${network.rejected}`)
  return { signature, network }
}

const descriptorFileSchema = v.strictObject({ payload: v.string(), signature: v.string() })

async function entryOf(
  context: CliContext,
  text: string,
  listed: ListedRelay,
): Promise<{ entry: PayloadInput['relays'][number]; descriptor: Descriptor }> {
  const parsed = v.safeParse(descriptorFileSchema, JSON.parse(text))
  if (!parsed.success) throw malformed('it is no signed descriptor')
  const signed: SignedDescriptor = parsed.output
  const descriptor = await verifyDescriptor(context.crypto, { ...signed, signature: fromBase64(signed.signature) })
  const urls = descriptor.addresses.map(({ url }) => url)
  if (!urls.every(isRelayUrl)) throw malformed('an address is neither wss:// nor ws:// on loopback')
  if (descriptor.roles.includes('gateway') && descriptor.chains.length === 0)
    throw malformed('a gateway without chains')
  const networks = listed.networks ?? (await networksOf(urls, context.resolveName))
  return { entry: { descriptor: signed, operator: listed.operator, networks: [...networks] }, descriptor }
}

/** A relay without a valid key is unreachable, so its keys must last as long as the document. */
function requireKeys(path: string, descriptor: Descriptor, from: number, until: number): void {
  const uses = descriptor.roles.includes('gateway')
    ? (['onionKeys', 'envelopeKeys'] as const)
    : (['onionKeys'] as const)
  for (const use of uses) {
    for (const time of [from, until]) {
      if (descriptor[use].some((key) => key.validAfter <= time && time < key.validUntil)) continue
      throw malformed(
        `${path}: none of its ${use} is valid at ${new Date(time).toISOString()}; ` +
          'the relay has to run `keygen --renew` and send a new descriptor',
      )
    }
  }
}

function requireShort(validity: number, local: true | undefined): void {
  if (validity <= day || local === true) return
  throw new NightjarError('config-invalid', {
    detail: `a document is valid for at most ${longestHours} hours; more is for local networks (--local)`,
  })
}

/** What was signed: a directory should read it. */
function summary(file: string, { network, signatures }: Made): string {
  const relays = network.relays.map(
    (relay) => `  ${relay.name}  operator ${relay.operator}  ${relay.roles.join(', ')}  ${relay.networks.join(', ')}\n`,
  )
  const until = new Date(network.validUntil).toISOString()
  const facts = `relays: ${relays.length}, valid until ${until}, signatures: ${signatures.length}`
  return `${file}: version ${network.version}, ${facts}\n${relays.join('')}`
}
