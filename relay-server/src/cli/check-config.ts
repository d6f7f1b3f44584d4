/** `nightjar-relay check-config`: looks at everything that a relay needs to start, and says how to repair it. */
import type { Relay } from '@nightjar/shared/directory'
import { allows, hostList, listDate } from '@nightjar/shared/shield'
import type { ConfigProblem } from '@nightjar/shared-node/config'
import { Command } from 'commander'
import { inspectRelayConfig, type RelayConfig } from '../config.ts'
import type { RelayKeys } from '../keys.ts'
import { checkDocument, checkFiles, checkKeys } from './checks.ts'
import type { CliContext } from './context.ts'
import { type Finding, printFindings, problem } from './finding.ts'

export function checkConfigCommand(context: CliContext): Command {
  return new Command('check-config')
    .summary('check configuration, keys and network document')
    .description(
      'Checks the configuration of a relay, the files that it names and the network document, without starting it. ' +
        'Prints what it found, each problem with its remedy; the exit code is 1 where there is one.',
    )
    .requiredOption('--config <file>', 'relay.yaml')
    .option('--json', 'print JSON: { ok, findings: [{ subject, status, finding, remedy?, code? }] }')
    .addHelpText('after', '\nExample:\n  nightjar-relay check-config --config /etc/nightjar/relay.yaml')
    .action(async (options: { config: string; json?: true }) => {
      const { findings } = await inspectFiles(context, options.config)
      printFindings(context, findings, options.json === true)
    })
}

export interface FileInspection {
  readonly config: RelayConfig | undefined
  readonly keys?: RelayKeys | undefined
  /** What the network document says of this relay. */
  readonly listed?: Relay | undefined
  readonly findings: readonly Finding[]
}

/** Everything that can be known from files. The configuration is there where it could be read at all. */
export async function inspectFiles(context: CliContext, file: string): Promise<FileInspection> {
  let config: RelayConfig
  try {
    const inspection = await inspectRelayConfig(file)
    if (!inspection.ok)
      return { config: undefined, findings: inspection.problems.map((each) => configFinding(file, each)) }
    config = inspection.config
  } catch (error) {
    return { config: undefined, findings: [problem(file, error)] }
  }
  const { keys, findings } = await checkKeys(context, config, file)
  const document = await checkDocument(context, config, keys)
  return {
    config,
    keys,
    listed: document.listed,
    findings: [
      { subject: file, status: 'ok', finding: `${config.server_name}, roles: ${config.roles.join(', ')}` },
      ...findings,
      ...gatewayFindings(config),
      ...exitFindings(config),
      ...(await checkFiles(config, context.clock.now(), document.listed)),
      ...document.findings,
    ],
  }
}

function configFinding(file: string, { line, finding, remedy }: ConfigProblem): Finding {
  return {
    subject: line === undefined ? file : `${file}:${line}`,
    status: 'problem',
    finding,
    remedy: remedy ?? 'Correct it there; relay.example.yaml explains every key.',
    code: 'config-invalid',
  }
}

/** Where a gateway sends raw transactions, if not to the upstreams. Only the host: the rest of a URL may be a secret. */
function gatewayFindings({ gateway }: RelayConfig): readonly Finding[] {
  return Object.entries(gateway?.chains ?? {}).flatMap(([id, { transactions }]): Finding[] =>
    transactions === undefined
      ? []
      : [
          {
            subject: 'gateway',
            status: 'ok',
            finding: `raw transactions of chain ${id} go to ${new URL(transactions.url).host} alone`,
          },
        ],
  )
}

/** How much of the published list an exit carries. */
function exitFindings({ exit }: RelayConfig): readonly Finding[] {
  if (exit === undefined) return []
  const carried = hostList.filter(({ suffix }) => allows(exit, suffix)).length
  const finding = `carries ${carried} of ${hostList.length} hosts of the list of ${listDate}`
  if (carried > 0) return [{ subject: 'exit', status: 'ok', finding }]
  const remedy = 'Name a category in exit.categories, or less in exit.without.'
  return [{ subject: 'exit', status: 'problem', finding, remedy, code: 'config-invalid' }]
}
