/** Pages that mean harm (pages/), under any name, and what a test has them do. */
import { join } from 'node:path'
import type { Frame, Page } from 'playwright-core'
import { afterAll } from 'vitest'
import { type Stage, type StaticServer, serveFolder } from '../../src/browser/index.ts'
import type { Asked } from './stage.ts'

export const hostilePath = '/evil.html'

/** Serves the hostile page while the tests of a file run. */
export async function serveHostilePages(): Promise<StaticServer> {
  const server = await serveFolder(join(import.meta.dirname, 'pages'))
  afterAll(() => server.close())
  return server
}

/** The hostile page at `origin`, such as `http://evil.example`. */
export async function openHostile(stage: Stage, origin: string): Promise<Page> {
  const page = await stage.browser.context.newPage()
  await page.goto(origin + hostilePath)
  return page
}

/** Calls one of the page's functions (pages/evil.js, pages/reach.js). */
export function call<Result>(page: Page | Frame, name: string, ...args: readonly unknown[]): Promise<Result> {
  return page.evaluate<Result>(`${name}(${args.map((arg) => JSON.stringify(arg)).join(', ')})`)
}

/** What Nightjar's provider in the page answers. */
export function askAt(page: Page | Frame, method: string, params: readonly unknown[] = []): Promise<Asked> {
  return call(page, 'evil.ask', method, params)
}

/** A frame of the hostile page at `origin` inside `page`. */
export async function addFrame(page: Page, origin: string): Promise<Frame> {
  const src = origin + hostilePath
  await page.evaluate(`void evil.addFrame({ src: ${JSON.stringify(src)} })`)
  const isWanted = (frame: Frame) => frame.url() === src && frame.parentFrame() !== null
  const frame = page.frames().find(isWanted) ?? (await page.waitForEvent('framenavigated', isWanted))
  await frame.waitForLoadState()
  return frame
}
