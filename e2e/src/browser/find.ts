/** Finds a Chromium to drive. Branded Chrome from version 137 on ignores `--load-extension`, hence Chromium first. */
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

const names = ['chromium', 'google-chrome', 'chromium-browser']
export const browserVariable = 'NIGHTJAR_BROWSER'

/** @throws Error that says how to install one */
export function findBrowser(environment: NodeJS.ProcessEnv = process.env): string {
  const wanted = environment[browserVariable]
  if (wanted !== undefined && wanted !== '') {
    if (isExecutable(wanted)) return wanted
    throw new Error(`${browserVariable} names ${wanted}, which is no program that can be run`)
  }
  const folders = (environment.PATH ?? '').split(delimiter).filter((folder) => folder !== '')
  const found = names.flatMap((name) => folders.map((folder) => join(folder, name))).find(isExecutable)
  if (found !== undefined) return found
  throw new Error(
    `there is no browser: looked for ${names.join(', ')} on PATH. Install Chromium (Debian and Ubuntu: ` +
      '"apt-get install chromium"; macOS: "brew install --cask chromium"; or "npx playwright install chromium"), ' +
      `or set ${browserVariable} to the path of one`,
  )
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    // Not there, or not to be run.
    return false
  }
}
