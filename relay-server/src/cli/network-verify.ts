/** `nightjar-relay network verify`: checks a document as a client does, and shows what is in it. */
import { base64, equalBytes, fromBase64, hex } from '@nightjar/shared/bytes'
import {
  documentMessage,
  type Network,
  roles,
  type Trust,
  verifyDescriptor,
  verifyDocument,
} from '@nightjar/shared/directory'
import { asNightjarError, type ErrorCode, type NightjarError } from '@nightjar/shared/errors'
import { Command } from 'commander'
import type { CliContext } from './context.ts'
import { type DocumentFile, markOf, readDocumentFile } from './document.ts'
import { publicKeys, wholeNumber } from './options.ts'

interface Options {
  readonly trust: readonly Uint8Array[]
  readonly threshold: number
  readonly previous?: string
  readonly json?: true
}

/** What `--json` prints. Times are milliseconds since the Unix epoch. */
interface Report {
  readonly ok: boolean
  /** Why the document as a whole is refused. */
  readonly refusal?: { readonly code: ErrorCode; readonly message: string }
  readonly version: number
  readonly hash: string
  readonly validAfter: number
  readonly validUntil: number
  readonly signatures: readonly { readonly key: string; readonly pinned: boolean; readonly right: boolean }[]
  /** Only of an accepted document. */
  readonly relays: readonly RelayLine[]
  /** Relays that clients leave out; `index` counts from 0. */
  readonly rejected: readonly { readonly index: number; readonly code: ErrorCode; readonly message: string }[]
}

interface RelayLine {
  readonly name: string
  readonly identity: string
  readonly operator: string
  readonly region: string
  readonly roles: readonly string[]
  readonly networks: readonly string[]
}

export function verifyCommand(context: CliContext): Command {
  return new Command('verify')
    .summary('check a document and show what is in it')
    .description(
      'Checks a document as a client does that trusts the given directory keys, and shows what is in it. ' +
        'The exit code is 1 where the document is refused.',
    )
    .argument('<file>', 'the document')
    .requiredOption('--trust <keys...>', 'public keys of the trusted directories (base64)', publicKeys)
    .requiredOption('--threshold <k>', 'how many of them must have signed', wholeNumber(1, 64))
    .option('--previous <file>', 'also refuse a document that is older than this one')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nExample:\n  nightjar-relay network verify network.json --trust KEY1 KEY2 KEY3 --threshold 2',
    )
    .action(async (file: string, options: Options) => {
      const document = await readDocumentFile(file)
      const seen =
        options.previous === undefined ? undefined : markOf(context.crypto, await readDocumentFile(options.previous))
      const trust: Trust = { keys: options.trust, threshold: options.threshold }
      const result = await verifyDocument(context.crypto, document.text, {
        trust,
        now: context.clock.now(),
        seen,
      }).catch((error: unknown) => asNightjarError(error))
      const report = await reportOn(context, document, trust, result)
      context.print(options.json === true ? `${JSON.stringify(report)}\n` : inWords(report, trust))
      if (!report.ok) context.setExitCode(1)
    })
}

async function reportOn(
  { crypto }: CliContext,
  document: DocumentFile,
  trust: Trust,
  result: Network | NightjarError,
): Promise<Report> {
  const message = documentMessage(document.payload)
  const signatures = await Promise.all(
    document.signatures.map(async ({ key, signature }) => ({
      key: base64(key),
      pinned: trust.keys.some((pinned) => equalBytes(pinned, key)),
      right: await crypto.sign.verify(key, message, signature),
    })),
  )
  const { version, validAfter, validUntil } = document.head
  const hash = hex(crypto.hash.sha256(document.payload))
  const facts = { version, hash, validAfter, validUntil, signatures }
  if (result instanceof Error) {
    return { ok: false, refusal: { code: result.code, message: result.message }, ...facts, relays: [], rejected: [] }
  }
  const relays = result.relays.map(({ name, identity, operator, region, roles, networks }) => {
    return { name, identity: base64(identity), operator, region, roles, networks }
  })
  return { ok: true, ...facts, relays, rejected: await rejections({ crypto }, document) }
}

/** Why clients leave out relays: `verifyDocument` only counts them. */
async function rejections({ crypto }: Pick<CliContext, 'crypto'>, document: DocumentFile): Promise<Report['rejected']> {
  const found: Report['rejected'][number][] = []
  const seen = new Set<string>()
  for (const [index, { descriptor }] of document.head.relays.entries()) {
    try {
      const signed = { payload: descriptor.payload, signature: fromBase64(descriptor.signature) }
      const identity = hex((await verifyDescriptor(crypto, signed)).identity)
      if (seen.has(identity))
        found.push({ index, code: 'document-malformed', message: 'Its identity is listed twice.' })
      seen.add(identity)
    } catch (error) {
      const { code, message } = asNightjarError(error)
      found.push({ index, code, message })
    }
  }
  return found
}

function inWords(report: Report, trust: Trust): string {
  const lines = [
    report.refusal === undefined ? 'accepted' : `REFUSED     ${report.refusal.message} [${report.refusal.code}]`,
    `version     ${report.version}`,
    `hash        ${report.hash}`,
    `valid       ${instant(report.validAfter)} to ${instant(report.validUntil)}`,
    `signatures  needed: ${trust.threshold} of ${trust.keys.length} trusted keys`,
    ...report.signatures.map(({ key, pinned, right }) => {
      return `            ${key}  ${right ? 'right' : 'WRONG'}, ${pinned ? 'trusted' : 'not trusted'}`
    }),
  ]
  if (report.ok) {
    lines.push(
      `relays      ${report.relays.length}`,
      ...roles.map(
        (role) => `  role      ${role}: ${report.relays.filter((relay) => relay.roles.includes(role)).length}`,
      ),
      ...counted(
        'operator',
        report.relays.map((relay) => relay.operator),
      ),
      ...counted(
        'region  ',
        report.relays.map((relay) => relay.region),
      ),
      ...report.relays.map((relay) => {
        return `  relay     ${relay.name}  ${relay.operator}  ${relay.region}  ${relay.roles.join(', ')}  ${relay.networks.join(', ')}`
      }),
      ...report.rejected.map(({ index, code, message }) => `  REJECTED  relay at index ${index}: ${message} [${code}]`),
    )
  }
  return `${lines.join('\n')}\n`
}

function counted(label: string, names: readonly string[]): readonly string[] {
  const counts = new Map<string, number>()
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1)
  return [...counts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, count]) => `  ${label}  ${name}: ${count}`)
}

/** Also of a refused document, where it may be any number. */
function instant(time: number): string {
  const date = new Date(time)
  return Number.isNaN(date.getTime()) ? 'no time at all' : date.toISOString()
}
