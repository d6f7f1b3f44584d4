/** `nightjar install`: writes the script that browsers start, tells the browsers of it, and tries it once. */
import { mkdir } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type { Clock } from '@nightjar/shared/runtime'
import { fileError, writeAtomically } from '@nightjar/shared-node/config'
import { type Choice, chosenBrowsers, knownBrowsers } from './browsers.ts'
import { type BridgeCheck, checkBridge } from './check.ts'
import type { Machine } from './machine.ts'
import { callerOf, extensionsFor, manifestText, wrapperIn } from './manifest.ts'
import { readIfThere } from './registration.ts'
import { placesIn, userDataDirsIn, wrapperText } from './wrapper.ts'

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
  const userDataDirs = await userDataDirsFor(options, context)
  const text = wrapperText({ platform, node, script, places: placesIn(environment), userDataDirs })
  try {
    await mkdir(dirname(wrapper), { recursive: true, mode: 0o700 })
  } catch (cause) {
    throw fileError(dirname(wrapper), cause)
  }
  await writeAtomically(wrapper, text, 0o755)

  const browsers: Installed['browsers'][number][] = []
  const callers: string[] = []
  for (const { browser, family, add } of registrations) {
    const extensions = extensionsFor(family, options.extensionIds ?? [])
    browsers.push({ browser, wrote: await add(manifestText(wrapper, family, extensions)) })
    callers.push(...extensions.map((id) => callerOf(family, id)))
  }
  // They all start the same script.
  const [caller = ''] = callers
  const check = options.check ? await checkBridge({ wrapper, caller, version, clock, environment }) : null
  return { wrapper, browsers, check }
}

/** The folder that is named now, and those of earlier times whose browsers still start the script. */
async function userDataDirsFor(
  { userDataDir }: InstallOptions,
  { machine, wrapper }: InstallContext,
): Promise<readonly string[]> {
  const named = new Set(userDataDir === undefined ? [] : [resolve(userDataDir)])
  for (const folder of userDataDirsIn((await readIfThere(wrapper)) ?? '')) {
    const [registration] = knownBrowsers({ userDataDir: folder }, machine, wrapper, [])
    if (wrapperIn((await registration?.read()) ?? '') === wrapper) named.add(folder)
  }
  return [...named].sort()
}
