/** The facts that popup and requests are judged by, and the one state that follows from them. */
import type { Status } from '@nightjar/shared/bridge'
import { type ErrorCode, errorTable, type NightjarError } from '@nightjar/shared/errors'
import type { Problem, Step, StepId, UiState } from '../../messages/ui.ts'
import { chainInfo } from './chains.ts'

export interface Facts {
  readonly enabled: boolean
  readonly steps: readonly Step[]
  /** What the daemon said last; undefined while it is not connected. */
  readonly status: Status | undefined
  /** Chains for which no gateway answered. */
  readonly unserved: readonly number[]
}

/** Steps without which sites are private all the same: another door is closed then, and theirs is open. */
const otherDoors: ReadonlySet<StepId> = new Set(['shield', 'endpoint', 'wallet', 'watch'])

export function stateOf({ enabled, steps, status, unserved }: Facts): UiState {
  if (!enabled) return 'off'
  const failed = steps.filter(({ state }) => state === 'failed')
  if (failed.some(({ id }) => !otherDoors.has(id))) return 'blocked'
  const isUnderWay = steps.some(({ state }) => state === 'running' || state === 'waiting')
  // The steps after the shield's are taken without it.
  if (isUnderWay && failed.every(({ id }) => id === 'shield')) return 'connecting'
  if (status === undefined || status.state === 'blocked' || status.state === 'connecting') return 'blocked'
  if (failed.length > 0 || status.state === 'degraded' || unserved.length > 0) return 'degraded'
  return 'private'
}

/** What is wrong, the worst first. */
export function problemOf(facts: Facts): Problem | undefined {
  const { steps, status, unserved } = facts
  const state = stateOf(facts)
  if (state === 'off' || state === 'connecting') return undefined
  // What closes another door is not what keeps everything from being sent.
  const failed = steps.find((step) => step.state === 'failed' && (state !== 'blocked' || !otherDoors.has(step.id)))
  if (failed?.problem !== undefined) return failed.problem
  if (state === 'blocked') return problemOfCode('network-unreachable')
  if (status?.state === 'degraded') {
    return {
      code: 'link-lost',
      sentence: 'One of the two paths is down. Requests go over the other one; Nightjar builds a new one by itself.',
    }
  }
  if (unserved.length === 0) return undefined
  const names = unserved.map((id) => chainInfo(id).name).join(', ')
  return {
    code: 'chain-not-served',
    sentence: `No gateway serves ${names}, so requests for it fail. Take it out of \`chains\` in config.yaml, or wait for one.`,
  }
}

export function problemOfError(error: NightjarError): Problem {
  return { code: error.code, sentence: error.message }
}

function problemOfCode(code: ErrorCode): Problem {
  return { code, sentence: errorTable[code].sentence }
}
