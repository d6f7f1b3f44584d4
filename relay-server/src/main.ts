/** The composition root of `nightjar-relay`. */
import { NightjarError } from '@nightjar/shared/errors'
import { nativeCrypto } from '@nightjar/shared-node/crypto'
import { dialLink } from '@nightjar/shared-node/link'
import { announceReady, failWith, onStopSignal, systemClock } from '@nightjar/shared-node/process'
import packageJson from '../package.json' with { type: 'json' }
import { systemOutside } from './cli/context.ts'
import { buildProgram } from './cli/program.ts'
import { startRelay } from './server.ts'

const program = buildProgram({
  ...systemOutside,
  crypto: nativeCrypto,
  clock: systemClock,
  software: `nightjar-relay ${packageJson.version}`,
})

program
  .option('--config <file>', 'run a relay with this relay.yaml; prints one JSON line when it serves')
  .action(async (options: { config?: string }) => {
    if (options.config === undefined) {
      throw new NightjarError('config-invalid', { detail: 'say --config FILE, or --help for all commands' })
    }
    const relay = await startRelay(options.config, { crypto: nativeCrypto, clock: systemClock, dial: dialLink })
    onStopSignal(async () => {
      await relay.stop()
      process.exit(0)
    })
    announceReady(relay.ready)
  })

program.parseAsync().catch(failWith)
