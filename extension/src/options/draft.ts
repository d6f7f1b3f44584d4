/** Settings as they are typed: lists are lines of text, and may be wrong until the background has looked at them. */
import type { Savable } from '../messages/ui.ts'

export interface Draft {
  readonly wallet: string
  readonly onlySome: boolean
  readonly sites: string
  readonly keys: string
  readonly threshold: string
  readonly apart: boolean
  readonly linking: Savable['accounts']['linking']
  readonly compareCalls: boolean
  /** In seconds. */
  readonly freshness: string
}

export function toDraft({ wallet, sites, directory, accounts }: Savable): Draft {
  return {
    wallet,
    onlySome: sites.length > 0,
    sites: sites.join('\n'),
    keys: directory.keys.join('\n'),
    threshold: String(directory.threshold),
    apart: accounts.apart,
    linking: accounts.linking,
    compareCalls: accounts.compareCalls,
    freshness: String(accounts.freshness),
  }
}

/** What the draft says, without the blanks that come with typing. What is no number becomes 0, which is refused. */
export function fromDraft(draft: Draft): Savable {
  return {
    wallet: draft.wallet.trim(),
    sites: draft.onlySome ? listOf(draft.sites) : [],
    directory: { keys: listOf(draft.keys), threshold: numberOf(draft.threshold) },
    accounts: {
      apart: draft.apart,
      linking: draft.linking,
      compareCalls: draft.compareCalls,
      freshness: numberOf(draft.freshness),
    },
  }
}

export function isChanged(draft: Draft, settings: Savable): boolean {
  return lacksSites(draft) || JSON.stringify(fromDraft(draft)) !== JSON.stringify(fromDraft(toDraft(settings)))
}

/** "Only these" without any: saved as it stands, it would mean all. */
export function lacksSites(draft: Draft): boolean {
  return draft.onlySome && listOf(draft.sites).length === 0
}

function numberOf(text: string): number {
  return /^\d+$/.test(text.trim()) ? Number(text) : 0
}

/** Neither keys nor match patterns have blanks in them. */
function listOf(text: string): string[] {
  return text.split(/\s+/).filter((entry) => entry !== '')
}
