/** `nightjar-relay doctor`: check-config, and beyond it what only this machine and the network can tell. */
import { Command } from 'commander'
import { inspectFiles } from './check-config.ts'
import type { CliContext } from './context.ts'
import { checkClock } from './doctorClock.ts'
import { checkPushedHeads, checkTransactions } from './doctorGateway.ts'
import { checkPorts, isThisRelay } from './doctorPorts.ts'
import { printFindings } from './finding.ts'
import { checkFolders, checkOpenFiles } from './machine.ts'
import { checkNames, checkReachable, checkUpstreams } from './surroundings.ts'

export function doctorCommand(context: CliContext): Command {
  return new Command('doctor')
    .summary('look for what keeps a relay from serving')
    .description(
      'Everything that check-config checks, and beyond it the machine and the network: ports, names, clock, limits of ' +
        'the system, the providers of a gateway, and whether clients could reach the relay. Run it as the user that runs the ' +
        'relay. Prints what it found, each problem with its remedy; the exit code is 1 where there is one.',
    )
    .requiredOption('--config <file>', 'relay.yaml')
    .option('--json', 'print JSON: { ok, findings: [{ subject, status, finding, remedy?, code? }] }')
    .addHelpText('after', '\nExample:\n  nightjar-relay doctor --config /etc/nightjar/relay.yaml')
    .action(async (options: { config: string; json?: true }) => {
      const { config, keys, listed, findings } = await inspectFiles(context, options.config)
      const isRunning = config !== undefined && (await isThisRelay(config, keys))
      const outside =
        config === undefined
          ? []
          : await Promise.all([
              checkFolders(config),
              checkOpenFiles(config),
              checkPorts(config, isRunning),
              checkReachable(context, config, { isRunning, listed }),
              checkNames(context, config),
              checkUpstreams(config),
              checkPushedHeads(config),
              checkTransactions(config),
              checkClock(context, config),
            ])
      printFindings(context, [...findings, ...outside.flat()], options.json === true)
    })
}
