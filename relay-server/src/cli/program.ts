/** The command line of a relay, but for starting one: that is the root command's action, which main.ts adds. */
import { Command } from 'commander'
import { checkConfigCommand } from './check-config.ts'
import type { CliContext } from './context.ts'
import { descriptorCommand } from './descriptor.ts'
import { doctorCommand } from './doctor.ts'
import { keygenCommand } from './keygen.ts'
import { networkCommand } from './network.ts'

/**
 * The program with its subcommands. Options added to it must not be `requiredOption`s: commander would demand them of
 * every subcommand too. Actions reject with NightjarErrors, so run it with `parseAsync`.
 */
export function buildProgram(context: CliContext): Command {
  return (
    new Command('nightjar-relay')
      .description('A relay of the Nightjar network')
      .version(context.software)
      // Otherwise a `--config` of the root command would take away that of a subcommand.
      .enablePositionalOptions()
      .addCommand(keygenCommand(context))
      .addCommand(checkConfigCommand(context))
      .addCommand(doctorCommand(context))
      .addCommand(descriptorCommand(context))
      .addCommand(networkCommand(context))
  )
}
