/** The program `nightjar-relay`, but for what an exit sees of the Internet: that differs between main.ts and main.testing.ts. */
import { NightjarError } from '@nightjar/shared/errors'
import { nativeCrypto } from '@nightjar/shared-node/crypto'
import { dialLink } from '@nightjar/shared-node/link'
import { announceReady, failWith, onStopSignal, systemClock } from '@nightjar/shared-node/process'
import packageJson from '../package.json' with { type: 'json' }
import { systemOutside } from './cli/context.ts'
import { buildProgram } from './cli/program.ts'
import { type RelayContext, startRelay } from './server.ts'

export function runProgram(internet: Pick<RelayContext, 'resolve' | 'connectFrom' | 'observe'>): void {
  const context = { crypto: nativeCrypto, clock: systemClock, dial: dialLink, ...internet }
  const program = buildProgram({ ...systemOutside, ...context, software: `nightjar-relay ${packageJson.version}` })

  program
    .option('--config <file>', 'run a relay with this relay.yaml; prints one JSON line when it serves')
    .action(async (options: { config?: string }) => {
      if (options.config === undefined) {
        throw new NightjarError('config-invalid', { detail: 'say --config FILE, or --help for all commands' })
      }
      const relay = await startRelay(options.config, context)
      onStopSignal(async () => {
        await relay.stop()
        process.exit(0)
      })
      announceReady(relay.ready)
    })

  program.parseAsync().catch(failWith)
}
