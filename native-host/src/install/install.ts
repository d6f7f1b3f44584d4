/** `nightjar install`: writes the script that browsers start, tells the browsers of it, and tries it once. */
import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Clock } from '@nightjar/shared/runtime'
import { fileError, writeAtomically } from '@nightjar/shared-node/config'
import { type Choice, chosenBrowsers } from './browsers.ts'
import { type BridgeCheck, checkBridge } from './check.ts'
import type { Machine } from './machine.ts'
import { extensionId, manifestText, originOf } from './manifest.ts'
import { placesIn, wrapperText } from './wrapper.ts'

export interface InstallOptions extends Choice {
  /** Ids of the extensions that may use the bridge; ours unless given. */
  readonly extensionIds?: readonly string[] | undefined
  /** Whether to try the bridge. */
  readonly check: boolean
}

export interface InstallContext {
  readonly machine: Machine
  readonly clock: Clock
  readonly version: string
  /** Where to write the script. */
  readonly wrapper: string
  /** Absolute paths of Node and of this program. */
  readonly node: string
  readonly script: string
}

/** What was done, as `nightjar install --json` prints it. */
export interface Installed {
  readonly wrapper: string
  readonly browsers: readonly { readonly browser: string; readonly wrote: readonly string[] }[]
  /** null where it was not asked for. */
  readonly check: BridgeCheck | null
}

/** @throws NightjarError `file-unusable` where a file cannot be written, or no browser was found */
export async function install(options: InstallOptions, context: InstallContext): Promise<Installed> {
  const { machine, clock, version, wrapper, node, script } = context
  const registrations = chosenBrowsers(options, machine, wrapper)
  const { environment, platform } = machine
  const text = wrapperText({ platform, node, script, places: placesIn(environment) })
  try {
    await mkdir(dirname(wrapper), { recursive: true, mode: 0o700 })
  } catch (cause) {
    throw fileError(dirname(wrapper), cause)
  }
  await writeAtomically(wrapper, text, 0o755)

  const extensions = options.extensionIds ?? [extensionId]
  const manifest = manifestText(wrapper, extensions)
  const browsers: Installed['browsers'][number][] = []
  for (const registration of registrations) {
    browsers.push({ browser: registration.browser, wrote: await registration.add(manifest) })
  }
  const origin = originOf(extensions[0] ?? extensionId)
  const check = options.check ? await checkBridge({ wrapper, origin, version, clock, environment }) : null
  return { wrapper, browsers, check }
}
