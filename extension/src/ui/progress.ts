/** How far the steps of going private have come. */
import type { Snapshot, Step } from '../messages/ui.ts'

export interface Progress {
  /** Number of the step at work or failed, from 1. */
  readonly at: number
  readonly of: number
  readonly failed?: Step
}

export function progressOf(steps: readonly Step[]): Progress {
  const running = steps.find((step) => step.state === 'running')
  // The steps behind the shield's go on without it.
  const failed = running === undefined ? steps.find((step) => step.state === 'failed') : undefined
  const current = running ?? failed ?? steps.find((step) => step.state !== 'done')
  const at = current === undefined ? steps.length : steps.indexOf(current) + 1
  return { at, of: steps.length, ...(failed && { failed }) }
}

/** How the Nightjar program is doing, as far as the pages know. */
export type HostState = 'unchecked' | 'running' | 'failed' | 'answers'

export function hostState({ steps, hostVersion }: Pick<Snapshot, 'steps' | 'hostVersion'>): HostState {
  const step = steps.find(({ id }) => id === 'host')?.state
  if (step === 'failed' || step === 'running') return step
  return step === 'done' || hostVersion !== undefined ? 'answers' : 'unchecked'
}
