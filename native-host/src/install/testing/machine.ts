/** A computer whose home is a folder of the test's, and whose registry is a map. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Machine } from '../machine.ts'

export interface FakeMachine extends Machine {
  /** By key; reg.exe writes and reads here. */
  readonly registry: Map<string, string>
  /** What was run, a line each. */
  readonly commands: string[]
}

export function fakeMachine(home: string, platform: NodeJS.Platform, environment: NodeJS.ProcessEnv = {}): FakeMachine {
  const registry = new Map<string, string>()
  const commands: string[] = []
  const reg = ([verb, key = '', ...rest]: readonly string[]) => {
    const value = registry.get(key)
    if (verb === 'add') registry.set(key, rest[rest.indexOf('/d') + 1] ?? '')
    else if (value === undefined) return { ok: false, stdout: '' }
    if (verb === 'delete') registry.delete(key)
    // As reg.exe prints it.
    const stdout = verb === 'query' ? `\r\n${key}\r\n    (Default)    REG_SZ    ${value}\r\n\r\n` : ''
    return { ok: true, stdout }
  }
  return {
    platform,
    home,
    environment,
    registry,
    commands,
    async run(file, args) {
      commands.push([file, ...args].join(' '))
      return reg(args)
    },
  }
}

/** Makes the folders of browsers, as the browsers themselves would. */
export async function addBrowsers(home: string, ...folders: string[]): Promise<void> {
  for (const folder of folders) await mkdir(join(home, folder), { recursive: true })
}
