/**
 * `nightjar uninstall`: takes back what `nightjar install` did. Nothing remembers what that was but for the folders of
 * browsers that were named by hand, which stand in the script itself: known places are looked at, and a file is removed
 * only where its content shows that it is ours.
 */
import { dirname } from 'node:path'
import type { Clock } from '@nightjar/shared/runtime'
import { connectTo } from '../bridge/connect.ts'
import { stopDaemon } from '../bridge/stop.ts'
import { claimSocket, type Places } from '../config.ts'
import { type Choice, knownBrowsers } from './browsers.ts'
import type { Machine } from './machine.ts'
import { wrapperIn } from './manifest.ts'
import { readIfThere, removeFile, removeIfEmpty } from './registration.ts'
import { isOurWrapper, userDataDirsIn } from './wrapper.ts'

export interface UninstallOptions extends Choice {
  /** Whether to delete configuration and state, too. */
  readonly purge: boolean
}

export interface UninstallContext {
  readonly machine: Machine
  readonly places: Places
  readonly clock: Clock
  /** Told each step as it is done. */
  say(line: string): void
}

/** A wallet that was given the endpoint asks nobody else, so it stands still when Nightjar is gone. */
const walletSteps = [
  'Put MetaMask back to its own RPC URL, or it gets no answers any more (it never goes around Nightjar by itself):',
  '  MetaMask → networks → ⋮ beside Ethereum → Edit → Default RPC URL → the Infura one → Save;',
  '  then remove the URL that begins with http://127.0.0.1. The same for every other network that goes through Nightjar.',
]

export async function uninstall(options: UninstallOptions, context: UninstallContext): Promise<void> {
  const { places, clock, say } = context
  for (const line of walletSteps) say(line)
  say('')
  const found = await removeRegistrations(options, context)
  const removed = await removeWrappers(new Set([places.wrapper, ...found]), context)
  if (found.length === 0 && removed === 0) say('Nothing of Nightjar was installed there.')
  if (options.purge) return purge(context, await stopDaemon(places, clock))
  const daemon = await connectTo(await claimSocket(places))
  daemon?.destroy()
  if (daemon !== undefined) say('The daemon still runs and serves your wallets; `nightjar stop` ends it.')
}

/** @returns the scripts that the removed manifests named */
async function removeRegistrations(choice: Choice, { machine, places, say }: UninstallContext): Promise<string[]> {
  const wrappers: string[] = []
  const userDataDirs = userDataDirsIn((await readIfThere(places.wrapper)) ?? '')
  for (const registration of knownBrowsers(choice, machine, places.wrapper, userDataDirs)) {
    const manifest = await registration.read()
    if (manifest === undefined) continue
    const wrapper = wrapperIn(manifest)
    if (wrapper === undefined) {
      say(`Left the manifest for ${registration.browser} alone: it is not Nightjar's.`)
      continue
    }
    for (const removed of await registration.remove()) say(`Removed ${removed}`)
    wrappers.push(wrapper)
  }
  return wrappers
}

/** Removes those that no browser starts any more. @returns how many */
async function removeWrappers(wrappers: ReadonlySet<string>, context: UninstallContext): Promise<number> {
  const { say } = context
  let count = 0
  for (const wrapper of wrappers) {
    const text = await readIfThere(wrapper)
    if (text === undefined || !isOurWrapper(text)) continue
    if (await isUsed(wrapper, text, context)) {
      say(`Left ${wrapper}, which another browser starts.`)
      continue
    }
    await removeFile(wrapper)
    await removeIfEmpty(dirname(wrapper))
    say(`Removed ${wrapper}`)
    count += 1
  }
  return count
}

async function isUsed(wrapper: string, text: string, { machine, places }: UninstallContext): Promise<boolean> {
  for (const { read } of knownBrowsers({}, machine, places.wrapper, userDataDirsIn(text))) {
    if (wrapperIn((await read()) ?? '') === wrapper) return true
  }
  return false
}

/** Deletes the files that Nightjar writes, and its folders where nothing else is in them. */
async function purge({ places, say }: UninstallContext, wasRunning: boolean): Promise<void> {
  if (wasRunning) say('Stopped the daemon.')
  const files = [places.config, places.state, places.document, places.pid]
  say(`Deleting configuration and state: ${files.join(', ')}`)
  for (const file of files) await removeFile(file)
  const exposed = places.exposed === undefined ? [] : [places.exposed]
  for (const folder of [...places.folders, ...exposed]) await removeIfEmpty(folder)
  say('Deleted.')
}
