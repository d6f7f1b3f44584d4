/** What becomes of which host: the published list, as the user changed it. */
import { findHost, hostList, normaliseHost } from '@nightjar/shared/shield'
import * as v from 'valibot'
import type { Choice } from '../../messages/ui.ts'

const mostAdded = 500
const suffix = v.pipe(
  v.string(),
  v.check((text) => normaliseHost(text) === text, 'must be a host name'),
)

export const choicesSchema = v.strictObject({
  /** Of listed hosts; those that are not named are shielded. */
  choices: v.record(suffix, v.picklist(['block', 'leave'])),
  /** Hosts to block that are not listed: no exit carries them, so they cannot be shielded. */
  added: v.pipe(v.array(suffix), v.maxLength(mostAdded)),
})

export type Choices = v.InferOutput<typeof choicesSchema>

export const noChoices: Choices = { choices: {}, added: [] }

/** For the PAC script. */
export function* chosenHosts({ choices, added }: Choices): Generator<readonly [suffix: string, choice: Choice]> {
  for (const { suffix } of hostList) yield [suffix, choices[suffix] ?? 'shield']
  for (const host of added) yield [host, 'block']
}

/** Whether requests to the host are ours to decide on: it is listed or was added, whatever was chosen for it. */
export function isKnown({ added }: Choices, host: string): boolean {
  return findHost(host) !== undefined || added.some((each) => host === each || host.endsWith(`.${each}`))
}

/** With another choice for some hosts. One that is not listed can be blocked, or left alone again; what is no host is passed over. */
export function choose(before: Choices, hosts: readonly string[], choice: Choice): Choices {
  const choices = new Map(Object.entries(before.choices))
  const added = new Set(before.added)
  const listed = new Set(hostList.map((each) => each.suffix))
  for (const host of hosts) {
    if (listed.has(host)) {
      if (choice === 'shield') choices.delete(host)
      else choices.set(host, choice)
    } else if (choice !== 'block') added.delete(host)
    else if (normaliseHost(host) === host && added.size < mostAdded) added.add(host)
  }
  return { choices: Object.fromEntries(choices), added: [...added] }
}
