/** Which panel the popup shows for a snapshot, and what stands over it in the sky. */
import type { Snapshot } from '../messages/ui.ts'
import type { MoonState } from '../ui/phase.ts'
import { progressOf } from '../ui/progress.ts'
import { headlines, leaving as leavingTexts, summaries } from '../ui/texts.ts'

/** `on`: private, degraded and blocked, which show the same evidence. `leaving`: asking whether to turn off. */
export type Panel = 'loading' | 'off' | 'connecting' | 'on' | 'leaving'

export function panelOf(snapshot: Snapshot | undefined, leaving: boolean): Panel {
  if (snapshot === undefined) return 'loading'
  if (snapshot.state === 'off' || snapshot.state === 'connecting') return snapshot.state
  return leaving ? 'leaving' : 'on'
}

export interface Sky {
  readonly headline: string
  readonly summary: string
  readonly moon: MoonState
}

export function skyOf(snapshot: Snapshot, panel: Panel): Sky {
  const moon = moonOf(snapshot)
  if (panel === 'leaving') return { headline: leavingTexts.title, summary: leavingTexts.sites, moon }
  return { headline: headlines[snapshot.state], summary: summaryOf(snapshot), moon }
}

function summaryOf({ state, steps, wallet }: Snapshot): string {
  switch (state) {
    case 'off':
      return wallet.state === 'none' ? summaries.off : summaries.offButSet
    case 'connecting': {
      const { at, of, failed } = progressOf(steps)
      return failed === undefined ? summaries.connecting(at, of) : summaries.stopped(at, of)
    }
    case 'private':
      if (wallet.state === 'none') return summaries.privateSites
      return wallet.lastRequest === undefined ? summaries.privateUnseen : summaries.private
    case 'degraded':
      return summaries.degraded
    case 'blocked':
      return summaries.blocked
  }
}

/** The moon waxes with the steps, is full when private, and eclipsed when nothing can be sent. */
function moonOf({ state, steps }: Snapshot): MoonState {
  switch (state) {
    case 'off':
      return { lit: 0.04 }
    case 'connecting': {
      const done = steps.filter((step) => step.state === 'done').length
      return { lit: 0.08 + 0.84 * (done / Math.max(steps.length, 1)) }
    }
    case 'private':
      return { lit: 1 }
    case 'degraded':
      return { lit: 0.66 }
    case 'blocked':
      return { lit: 0, eclipsed: true }
  }
}
