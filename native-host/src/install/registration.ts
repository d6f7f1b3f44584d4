/**
 * How a browser learns of a native-messaging host: a manifest in a folder of its own, or on Windows a registry key that
 * names one (developer.chrome.com/docs/extensions/develop/concepts/native-messaging; MDN, Native manifests).
 */
import { mkdir, rm, rmdir } from 'node:fs/promises'
import { dirname, join, sep } from 'node:path'
import { NightjarError } from '@nightjar/shared/errors'
import { fileError, readText, writeAtomically } from '@nightjar/shared-node/config'
import type { Machine } from './machine.ts'
import { type Family, hostName } from './manifest.ts'

export interface Registration {
  /** The browser, in words. */
  readonly browser: string
  readonly family: Family
  /** @returns the files and registry keys that it wrote */
  add(manifest: string): Promise<readonly string[]>
  /** undefined where there is none. */
  read(): Promise<string | undefined>
  /** @returns the files and registry keys that it removed */
  remove(): Promise<readonly string[]>
}

/** A manifest is some hundred bytes. */
const manifestBytes = 64 * 1024

/**
 * @param hosts the folder of the browser's manifests
 * @param base a folder above it that is not ours to remove, be it empty
 */
export function inFolder(browser: string, family: Family, hosts: string, base: string): Registration {
  const file = join(hosts, `${hostName}.json`)
  return {
    browser,
    family,
    async add(manifest) {
      await writeFile(file, manifest)
      return [file]
    },
    read: () => readIfThere(file),
    async remove() {
      await removeFile(file)
      for (let folder = hosts; folder.startsWith(join(base, sep)); folder = dirname(folder)) {
        if (!(await removeIfEmpty(folder))) break
      }
      return [file]
    },
  }
}

/**
 * @param hosts the browser's registry key below HKCU
 * @param file where the manifest is kept; any name does
 */
export function inRegistry(
  browser: string,
  family: Family,
  hosts: string,
  file: string,
  { run }: Machine,
): Registration {
  const key = `HKCU\\${hosts}\\${hostName}`
  const named = async () => {
    const { ok, stdout } = await run('reg.exe', ['query', key, '/ve'])
    return ok ? /REG_SZ\s+(.*\S)/.exec(stdout)?.[1] : undefined
  }
  const change = async (...args: string[]) => {
    const { ok } = await run('reg.exe', args)
    if (!ok) throw new NightjarError('file-unusable', { detail: `registry key ${key}` })
  }
  return {
    browser,
    family,
    async add(manifest) {
      await writeFile(file, manifest)
      await change('add', key, '/ve', '/t', 'REG_SZ', '/d', file, '/f')
      return [file, key]
    },
    async read() {
      const path = await named()
      return path === undefined ? undefined : readIfThere(path)
    },
    async remove() {
      const path = await named()
      await change('delete', key, '/f')
      if (path === undefined) return [key]
      await removeFile(path)
      return [key, path]
    },
  }
}

async function writeFile(file: string, text: string): Promise<void> {
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 })
  } catch (cause) {
    throw fileError(dirname(file), cause)
  }
  await writeAtomically(file, text, 0o644)
}

/** undefined where there is no such file. @throws NightjarError `file-unusable` where it cannot be read */
export async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readText(file, manifestBytes)
  } catch (error) {
    const code = error instanceof NightjarError ? (error.cause as NodeJS.ErrnoException | undefined)?.code : undefined
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw error
  }
}

export async function removeFile(file: string): Promise<void> {
  try {
    await rm(file, { force: true })
  } catch (cause) {
    throw fileError(file, cause)
  }
}

/** Removes a folder with nothing in it; says whether it is gone. */
export async function removeIfEmpty(folder: string): Promise<boolean> {
  try {
    await rmdir(folder)
    return true
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    if (code === 'ENOENT') return true
    // Others keep files there, too.
    if (code === 'ENOTEMPTY' || code === 'EEXIST') return false
    throw fileError(folder, cause)
  }
}
