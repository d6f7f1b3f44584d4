/** The program `nightjar-relay`, but for what an exit sees of the Internet: that differs between main.ts and main.testing.ts. */
import { nativeCrypto } from '@nightjar/shared-node/crypto'
import { dialLink } from '@nightjar/shared-node/link'
import { announceReady, failWith, nodeProcess, onStopSignal, systemClock } from '@nightjar/shared-node/process'
import { Option } from 'commander'
import packageJson from '../package.json' with { type: 'json' }
import { systemOutside } from './cli/context.ts'
import { buildProgram } from './cli/program.ts'
import { type Life, startLife } from './life/life.ts'
import { runWorker } from './life/worker.ts'
import { workerFlag } from './life/workerProcess.ts'
import type { RelayContext } from './server.ts'

export function runProgram(internet: Pick<RelayContext, 'resolve' | 'connectFrom' | 'observe'>): void {
  const software = `nightjar-relay ${packageJson.version}`
  const context: RelayContext = { crypto: nativeCrypto, clock: systemClock, dial: dialLink, software, ...internet }
  const program = buildProgram({ ...systemOutside, ...context })

  program
    .option('--config <file>', 'run a relay with this relay.yaml; prints one JSON line when it serves')
    .addOption(new Option(workerFlag, 'be one of the workers of the process that starts this one').hideHelp())
    .action(async (options: { config?: string; worker?: true }) => {
      if (options.worker === true) return runWorker(context)
      if (options.config === undefined) return program.help({ error: true })
      let life: Life | undefined
      let isToReload = false
      // From the beginning: SIGHUP ends a process that does not listen for it.
      process.on('SIGHUP', () => {
        if (life === undefined) isToReload = true
        else void life.reload()
      })
      life = await startLife(options.config, context)
      const hurry = new AbortController()
      const serving = life
      const stop = async () => {
        await serving.stop(hurry.signal)
        process.exit(0)
      }
      onStopSignal(stop, nodeProcess, hurry)
      announceReady(serving.ready)
      // The configuration may have been read before it was changed.
      if (isToReload) void serving.reload()
    })

  program.parseAsync().catch(failWith)
}
