/**
 * The life of a relay, from its configuration file to its end: what carries links (this process, or its workers), what
 * operators see, keys that rotate, a configuration that is read anew, and an end that loses nobody's request.
 */
import { hex } from '@nightjar/shared/bytes'
import { NightjarError } from '@nightjar/shared/errors'
import { writeAtomically } from '@nightjar/shared-node/config'
import { createLog } from '@nightjar/shared-node/log'
import { openAdmin } from '../admin/admin.ts'
import { makeDescriptor } from '../cli/descriptor.ts'
import { loadRelayConfig } from '../config.ts'
import { loadKeys } from '../keys.ts'
import { ipGateOf } from '../limits/fromConfig.ts'
import { type RelayContext, readFiles, startRelay } from '../server.ts'
import type { Carrier } from './carrier.ts'
import { errorFacts } from './errorFacts.ts'
import { KeyRotation } from './keyRotation.ts'
import { portError, portsOf, requirePorts } from './ports.ts'
import { planReload } from './reload.ts'
import { forkWorker } from './workerProcess.ts'
import { startWorkers } from './workers.ts'

export interface Life {
  /** What to tell the world: ports. */
  readonly ready: Readonly<Record<string, unknown>>
  /** Reads the configuration anew. Never rejects: what is wrong with it is in the log, and the old one stays. */
  reload(): Promise<void>
  /** Lets those who are there leave, for `drain_timeout` at most, or until `hurry`, and ends. */
  stop(hurry: AbortSignal): Promise<void>
}

/** @throws NightjarError whatever keeps the relay from serving */
export async function startLife(configFile: string, context: RelayContext, openLog = createLog): Promise<Life> {
  const { crypto, clock, software } = context
  let config = await loadRelayConfig(configFile)
  // Whoever starts a relay that runs already should find everything as it was.
  await requirePorts(config)
  const { identity } = await loadKeys(crypto, config)
  const log = openLog({ name: config.server_name, level: config.log.level })
  let isDraining = false

  const starting: Promise<Carrier> =
    config.workers === 1
      ? startRelay(context, { config, log })
      : startWorkers({ config, log, clock, fork: forkWorker, ipGate: ipGateOf(config, clock) })
  const [linkPort] = portsOf(config)
  const carrier = await starting.catch((error: unknown) => {
    // The port may have been taken in the meantime.
    const code = error instanceof NightjarError && error.code === 'connect-failed' ? systemCode(error.cause) : undefined
    throw code === undefined ? error : portError(linkPort, code, error)
  })

  /** Without its descriptor written the relay serves on. */
  async function publish(): Promise<void> {
    const { descriptor } = config
    if (descriptor === undefined) return
    try {
      const text = await makeDescriptor(context, config, await loadKeys(crypto, config), descriptor.pin)
      await writeAtomically(descriptor.file, text, 0o644)
      log.info('descriptor written: the directories need it')
    } catch (error) {
      log.error('descriptor not written', errorFacts(error, descriptor.file))
    }
  }

  const rotation = new KeyRotation({
    crypto,
    clock,
    files: config,
    async onRotated() {
      await carrier.reloadKeys()
      log.info('new keys for the next period')
      await publish()
    },
    onProblem: (error) => log.error('no new keys are in use; tried again in an hour', errorFacts(error)),
  })
  await rotation.start()
  await publish()

  const admin = await openAdmin({
    clock,
    host: config.admin.host,
    healthPort: config.admin.health_port,
    metricsPort: config.admin.metrics_port,
    get serverName() {
      return config.server_name
    },
    get region() {
      return config.region
    },
    identity: hex(identity.publicKey),
    version: software,
    isDraining: () => isDraining,
    checks: () => carrier.checks(),
    read: () => carrier.read(),
    onProblem: (error) => log.warn('no numbers to show', errorFacts(error)),
  })
  log.info('serving', { roles: config.roles, workers: config.workers })

  async function reloadNow(): Promise<void> {
    try {
      const plan = planReload(config, await loadRelayConfig(configFile))
      // Whatever is wrong shows before the first of several workers has changed anything.
      await Promise.all([readFiles(plan.config), loadKeys(crypto, plan.config)])
      await carrier.reload(plan.config)
      config = plan.config
      log.setLevel(config.log.level)
      if (plan.needRestart.length > 0)
        log.warn('these keys need a restart; their old values stay', { keys: plan.needRestart })
      log.info('configuration reloaded', { changed: plan.changed })
      await publish()
    } catch (error) {
      log.error('configuration refused; the old one stays', errorFacts(error, configFile))
    }
  }

  let reloads = Promise.resolve()
  return {
    ready: { port: carrier.port, healthPort: admin.healthPort, metricsPort: admin.metricsPort },
    reload() {
      reloads = reloads.then(reloadNow)
      return reloads
    },
    async stop(hurry) {
      isDraining = true
      rotation.stop()
      log.info('draining', { seconds: config.drain_timeout })
      await carrier.stop({ seconds: config.drain_timeout, hurry })
      await admin.close()
      log.info('stopped')
    },
  }
}

function systemCode(cause: unknown): string | undefined {
  return cause instanceof Error && 'code' in cause && typeof cause.code === 'string' ? cause.code : undefined
}
