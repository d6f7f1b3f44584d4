/** What the user chose about accounts, as it is stored; and what it means to shared/accounts. */
import { type AccountSettings, defaultSettings } from '@nightjar/shared/accounts'
import { limits } from '@nightjar/shared/limits'
import { second } from '@nightjar/shared/runtime'
import * as v from 'valibot'

const shortest = 1
/** No gateway reads later than that after a block. */
const longest = limits.watchDelay / second
const range = `must be a whole number of seconds from ${shortest} to ${longest}`

export const accountsSchema = v.strictObject({
  /** Whether accounts are kept apart at all. */
  apart: v.boolean('must be on or off'),
  linking: v.picklist(['refuse', 'alone'], 'must be refuse or alone'),
  compareCalls: v.boolean('must be on or off'),
  /** In seconds. */
  freshness: v.pipe(v.number(range), v.integer(range), v.minValue(shortest, range), v.maxValue(longest, range)),
})

export type AccountChoices = v.InferOutput<typeof accountsSchema>

export const usualChoices: AccountChoices = {
  apart: true,
  linking: defaultSettings.linking,
  compareCalls: defaultSettings.compareCalls,
  freshness: defaultSettings.freshness / second,
}

export function settingsOf({ apart: _, freshness, ...choices }: AccountChoices): AccountSettings {
  return { ...defaultSettings, ...choices, freshness: freshness * second }
}
