/** What `nightjar install` says to people. */
import { errorTable } from '@nightjar/shared/errors'
import type { BridgeCheck } from './check.ts'
import type { Installed } from './install.ts'

export function formatInstalled({ wrapper, browsers, check }: Installed): string {
  const lines = [
    `Wrote ${wrapper}`,
    ...browsers.flatMap(({ browser, wrote }) => [`For ${browser}:`, ...wrote.map((each) => `  wrote ${each}`)]),
    ...(check === null ? ['The bridge was not tried.'] : sentencesFor(check)),
  ]
  return `${lines.join('\n')}\n`
}

function sentencesFor({ bridge, daemon, code, detail }: BridgeCheck): string[] {
  if (daemon !== null) {
    return [
      `The bridge works, and the daemon answered (version ${daemon}).`,
      'Open the extension and press Go private.',
    ]
  }
  const finding = bridge
    ? 'The bridge works, but the daemon did not come up:'
    : 'The files are written, but the bridge does not work:'
  const why = code === undefined ? [] : [`  ${errorTable[code].sentence}`]
  const where = detail === undefined ? [] : [`  ${detail}`]
  const remedy = bridge
    ? 'Nothing needs to be installed again: once that is right, the extension connects by itself.'
    : 'Put that right, then run the same command again.'
  return [finding, ...why, ...where, remedy]
}
