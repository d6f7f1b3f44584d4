/** The composition root of `nightjar`. */

import { nativeCrypto } from '@nightjar/shared-node/crypto'
import { dialLink } from '@nightjar/shared-node/link'
import { announceReady, failWith, onStopSignal, systemClock } from '@nightjar/shared-node/process'
import packageJson from '../package.json' with { type: 'json' }
import { buildProgram } from './cli/program.ts'
import { placesFrom } from './config.ts'
import { startDaemon } from './daemon.ts'

const places = placesFrom(process.env)
const { version } = packageJson

async function up(): Promise<void> {
  const daemon = await startDaemon({ crypto: nativeCrypto, clock: systemClock, dial: dialLink, places, version })
  onStopSignal(async () => {
    await daemon.stop()
    process.exit(0)
  })
  announceReady(daemon.ready)
}

const program = buildProgram({
  version,
  socket: places.socket,
  print: (text) => void process.stdout.write(text),
  up,
  setExitCode: (code) => {
    process.exitCode = code
  },
})

program.parseAsync().catch(failWith)
