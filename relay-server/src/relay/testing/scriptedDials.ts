/** Dials that a test answers: each succeeds or fails when it says so, with a link that it plays the other end of. */
import { NightjarError } from '@nightjar/shared/errors'
import { ScriptedLink } from '@nightjar/shared/testing'
import type { Dial, DialOptions } from '@nightjar/shared-node/link'

export interface ScriptedDial {
  readonly options: DialOptions
  /** The link comes up. */
  succeed(): ScriptedLink
  fail(): void
}

export function scriptedDials(): { dial: Dial; calls: ScriptedDial[] } {
  const calls: ScriptedDial[] = []
  const dial: Dial = (options) =>
    new Promise((resolve, reject) => {
      const succeed = () => {
        const link = new ScriptedLink(options.table)
        options.table.attach(link)
        resolve(link)
        return link
      }
      calls.push({ options, succeed, fail: () => reject(new NightjarError('connect-failed')) })
    })
  return { dial, calls }
}
