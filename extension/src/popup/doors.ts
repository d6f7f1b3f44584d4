/** The three doors by which requests reach the network: what is private and what is not, in plain words. */
import type { Snapshot } from '../messages/ui.ts'
import { formatAgo, formatCount } from '../ui/format.ts'
import { type DoorId, type DoorState, doorDetails, notCovered } from '../ui/texts.ts'

const recent = 60_000

export interface Door {
  readonly id: DoorId
  readonly state: DoorState
  readonly detail: string
  /** What it cannot cover. */
  readonly note?: string
}

/** For a snapshot that is private, degraded or blocked. */
export function doorsOf(snapshot: Snapshot, now: number): readonly Door[] {
  return [
    { id: 'sites', ...sites(snapshot) },
    { id: 'wallet', ...wallet(snapshot, now) },
    { id: 'servers', ...servers(snapshot) },
  ]
}

function sites({ state, settings }: Snapshot): Omit<Door, 'id'> {
  if (state === 'blocked') return { state: 'closed', detail: doorDetails.nothingSent }
  return { state: 'open', detail: settings.sites.length === 0 ? doorDetails.sites : doorDetails.someSites }
}

function wallet({ state, wallet, problem }: Snapshot, now: number): Omit<Door, 'id'> {
  if (wallet.state === 'none') return { state: 'direct', detail: doorDetails.walletUnasked }
  if (state === 'blocked') return { state: 'closed', detail: doorDetails.nothingSent }
  if (problem?.code === 'endpoint-not-ours') return { state: 'closed', detail: doorDetails.walletCutOff }
  if (wallet.state === 'agreed') return { state: 'waiting', detail: doorDetails.walletUnseen }
  if (wallet.lastRequest === undefined) return { state: 'waiting', detail: doorDetails.walletQuiet }
  const detail = `${doorDetails.lastRequest} ${formatAgo(wallet.lastRequest, now)}`
  // It asks every few seconds while its window is open. Longer ago, it may as well ask somebody else by now.
  if (now - wallet.lastRequest > recent) return { state: 'waiting', detail: `${detail}. ${doorDetails.walletStale}` }
  return { state: 'open', detail }
}

function servers({ state, shield }: Snapshot): Omit<Door, 'id'> {
  if (shield.state === 'down') return { state: 'direct', detail: doorDetails.shieldDown }
  if (shield.state === 'closed' || state === 'blocked') return { state: 'closed', detail: doorDetails.shieldClosed }
  const counts = Object.values(shield.today)
  const shielded = counts.reduce((sum, each) => sum + each.shielded, 0)
  const detail = doorDetails.shieldUp(formatCount(shielded, 'connection'))
  return { state: 'open', detail, note: notCovered.unlisted }
}
