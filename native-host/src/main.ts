/** The composition root of `nightjar`. */

import { rm } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { writeAtomically } from '@nightjar/shared-node/config'
import { nativeCrypto } from '@nightjar/shared-node/crypto'
import { dialLink } from '@nightjar/shared-node/link'
import { announceReady, failWith, onStopSignal, systemClock } from '@nightjar/shared-node/process'
import packageJson from '../package.json' with { type: 'json' }
import { runHost } from './bridge/host.ts'
import { launchDaemon, reportStart } from './bridge/launch.ts'
import { stopDaemon } from './bridge/stop.ts'
import { findSystemProxy } from './bridge/systemProxy.ts'
import { buildProgram } from './cli/program.ts'
import { claimSocket, placesFrom } from './config.ts'
import { startDaemon } from './daemon.ts'
import { install } from './install/install.ts'
import { thisMachine } from './install/machine.ts'
import { uninstall } from './install/uninstall.ts'

const places = placesFrom(process.env)
const { version } = packageJson
const clock = systemClock
const script = fileURLToPath(import.meta.url)

async function up(): Promise<void> {
  try {
    await serve()
    await reportStart()
  } catch (error) {
    await reportStart(error)
    throw error
  }
}

async function serve(): Promise<void> {
  await claimSocket(places)
  const daemon = await startDaemon({ crypto: nativeCrypto, clock, dial: dialLink, places, version })
  await writeAtomically(places.pid, `${process.pid}\n`, 0o600)
  onStopSignal(async () => {
    await rm(places.pid, { force: true })
    await daemon.stop()
    process.exit(0)
  })
  announceReady(daemon.ready)
}

const print = (text: string) => void process.stdout.write(text)
const program = buildProgram({
  version,
  print,
  setExitCode(code) {
    process.exitCode = code
  },
  socket: () => claimSocket(places),
  up,
  stop: () => stopDaemon(places, clock),
  host: () =>
    runHost({
      input: process.stdin,
      output: process.stdout,
      clock,
      socket: () => claimSocket(places),
      launch: () => launchDaemon(script),
      systemProxy: () => findSystemProxy(thisMachine),
    }),
  install: (options) =>
    install(options, {
      machine: thisMachine,
      clock,
      version,
      wrapper: places.wrapper,
      node: process.execPath,
      script,
    }),
  uninstall: (options) =>
    uninstall(options, { machine: thisMachine, places, clock, say: (line) => print(`${line}\n`) }),
})

program.parseAsync().catch(failWith)
