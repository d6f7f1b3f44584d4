/**
 * The doors by which requests reach the network, and the one that there is not yet: what is private, what is not and
 * what is not covered, in plain words.
 */
import type { Snapshot } from '../messages/ui.ts'
import { formatAgo } from '../ui/format.ts'
import { type DoorId, type DoorState, doorDetails } from '../ui/texts.ts'

const recent = 60_000

export interface Door {
  readonly id: DoorId
  readonly state: DoorState
  readonly detail: string
}

/** For a snapshot that is private, degraded or blocked. */
export function doorsOf(snapshot: Snapshot, now: number): readonly Door[] {
  return [
    { id: 'sites', ...sites(snapshot) },
    { id: 'wallet', ...wallet(snapshot, now) },
    { id: 'servers', state: 'uncovered', detail: doorDetails.servers },
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
