/** One stage per test file: a network, a browser with Nightjar and the wallet, the dapp. Nothing is left behind. */
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect } from 'vitest'
import { dappUrl, type Stage, type StageOptions, setStage } from '../../src/browser/index.ts'

/** Sets the stage for the tests of a file (or describe block) and proves afterwards that it is gone. */
export function useStage(options: StageOptions = {}, prepare?: (stage: Stage) => Promise<void>): Stage {
  let stage: Stage | undefined
  beforeAll(async () => {
    stage = await setStage(options)
    await prepare?.(stage)
  })
  afterAll(async () => {
    await stage?.stop()
    expect(existsSync(stage?.userDataDir ?? '')).toBe(false)
  })
  return new Proxy({} as Stage, {
    get(_, name) {
      if (stage === undefined) throw new Error('the stage is set during tests only')
      return Reflect.get(stage, name)
    },
  })
}

export async function openDapp(stage: Stage): Promise<Page> {
  const page = await stage.browser.context.newPage()
  await page.goto(dappUrl)
  return page
}

export interface Asked {
  readonly result?: unknown
  readonly error?: { readonly code: number; readonly message: string; readonly data?: { readonly nightjar?: string } }
}

/** What a provider of the dapp's page answers. */
export function askIn(page: Page, provider: string, method: string, params: readonly unknown[] = []): Promise<Asked> {
  return page.evaluate(
    async ([provider, method, params]) => {
      const { demo } = globalThis as unknown as { demo: { request(...args: unknown[]): Promise<unknown> } }
      try {
        return { result: await demo.request(provider, method, params) }
      } catch (error) {
        const { code, message, data } = error as { code: number; message: string; data?: object }
        return { error: { code, message, ...(data === undefined ? {} : { data }) } }
      }
    },
    [provider, method, params] as const,
  )
}

/** Has the browser start `command` instead of the native program; returns what puts the program back. */
export async function replaceHost(stage: Stage, command: string): Promise<() => Promise<void>> {
  const path = join(stage.userDataDir, 'NativeMessagingHosts', 'io.nightjar.host.json')
  const installed = await readFile(path, 'utf8')
  await writeFile(path, JSON.stringify({ ...JSON.parse(installed), path: command }))
  return () => writeFile(path, installed)
}

/** The native program that `nightjar install` set up. */
export async function installedHost(stage: Stage): Promise<string> {
  const path = join(stage.userDataDir, 'NativeMessagingHosts', 'io.nightjar.host.json')
  return (JSON.parse(await readFile(path, 'utf8')) as { path: string }).path
}

/** Writes a shell script that records all that crosses the bridge; returns its path. */
export async function recordingHost(stage: Stage): Promise<{ command: string; recorded(): Promise<Buffer> }> {
  const host = await installedHost(stage)
  const folder = stage.userDataDir
  const [command, up, down] = ['recording-host', 'up.bin', 'down.bin'].map((name) => join(folder, name))
  const script = `#!/bin/sh\ntee -a '${up}' | '${host}' "$@" | tee -a '${down}'\n`
  await writeFile(command as string, script, { mode: 0o755 })
  const recorded = async () => Buffer.concat([await readFile(up as string), await readFile(down as string)])
  return { command: command as string, recorded }
}
