import type { Status } from '@nightjar/shared/bridge'
import { errorTable, NightjarError } from '@nightjar/shared/errors'
import { describe, expect, test } from 'vitest'
import { type Step, type StepId, stepIds, type UiState } from '../../messages/ui.ts'
import { idleStatus } from '../testing/fixtures.ts'
import { type Facts, problemOf, problemOfError, stateOf } from './facts.ts'

const problem = { code: 'wallet-refused', sentence: 'no' } as const

/** All steps before `id` done, it in `state`, those after it waiting; all done without one. */
function stepsAt(id?: StepId, state: Step['state'] = 'running'): Step[] {
  const at = id === undefined ? stepIds.length : stepIds.indexOf(id)
  return stepIds.map((each, index) => {
    if (index === at) return state === 'failed' ? { id: each, state, problem } : { id: each, state }
    return { id: each, state: index < at ? 'done' : 'waiting' }
  })
}

const withoutShield = stepsAt().map(
  (step): Step => (step.id === 'shield' ? { ...step, state: 'failed', problem } : step),
)

const facts = (changes: Partial<Facts> & { said?: Status['state'] } = {}): Facts => ({
  enabled: true,
  steps: stepsAt(),
  status: { ...idleStatus, state: changes.said ?? 'private' },
  unserved: [],
  ...changes,
})

describe('the state', () => {
  test.each<[string, Facts, UiState]>([
    ['off', facts({ enabled: false }), 'off'],
    ['off, whatever failed', facts({ enabled: false, steps: stepsAt('network', 'failed') }), 'off'],
    ['all done', facts(), 'private'],
    ['all done, one trunk down', facts({ said: 'degraded' }), 'degraded'],
    ['all done, no trunk any more', facts({ said: 'blocked' }), 'blocked'],
    ['all done, no trunk yet', facts({ said: 'connecting' }), 'blocked'],
    ['all done, daemon gone', facts({ status: undefined }), 'blocked'],
    ['a chain without a gateway', facts({ unserved: [5] }), 'degraded'],
    [
      'nothing begun',
      facts({ steps: stepIds.map((id) => ({ id, state: 'waiting' })), status: undefined }),
      'connecting',
    ],
    ...stepIds.map((id): [string, Facts, UiState] => [`at ${id}`, facts({ steps: stepsAt(id) }), 'connecting']),
    ...(['host', 'network', 'trunks', 'gateways'] as const).map((id): [string, Facts, UiState] => [
      `failed at ${id}`,
      facts({ steps: stepsAt(id, 'failed') }),
      'blocked',
    ]),
    ...(['endpoint', 'wallet', 'watch'] as const).map((id): [string, Facts, UiState] => [
      `failed at ${id}`,
      facts({ steps: stepsAt(id, 'failed') }),
      'degraded',
    ]),
    ['without the shield, on the way', facts({ steps: stepsAt('shield', 'failed') }), 'connecting'],
    ['without the shield, all else done', facts({ steps: withoutShield }), 'degraded'],
    ['without the shield, no trunk', facts({ steps: withoutShield, said: 'blocked' }), 'blocked'],
    ['failed at the wallet, no trunk', facts({ steps: stepsAt('wallet', 'failed'), said: 'blocked' }), 'blocked'],
    ['failed at the wallet, daemon gone', facts({ steps: stepsAt('wallet', 'failed'), status: undefined }), 'blocked'],
  ])('%s', (_, given, state) => {
    expect(stateOf(given)).toBe(state)
  })
})

describe('the problem', () => {
  test.each<[string, Facts, string | undefined]>([
    ['off', facts({ enabled: false, steps: stepsAt('wallet', 'failed') }), undefined],
    ['all done', facts(), undefined],
    ['on the way', facts({ steps: stepsAt('trunks') }), undefined],
    ['a wallet that refused', facts({ steps: stepsAt('wallet', 'failed') }), 'wallet-refused'],
    ['a failed step', facts({ steps: stepsAt('network', 'failed') }), 'wallet-refused'],
    [
      'no trunk, and before that the wallet',
      facts({ steps: stepsAt('wallet', 'failed'), said: 'blocked' }),
      'network-unreachable',
    ],
    ['no trunk', facts({ said: 'blocked' }), 'network-unreachable'],
    ['daemon gone', facts({ status: undefined }), 'network-unreachable'],
    ['one trunk', facts({ said: 'degraded', unserved: [5] }), 'link-lost'],
    ['a chain without a gateway', facts({ unserved: [5] }), 'chain-not-served'],
  ])('%s', (_, given, code) => {
    expect(problemOf(given)?.code).toBe(code)
  })

  test('every state but off, connecting and private has one', () => {
    const others = stepIds.filter((id) => id !== 'shield').map((id) => stepsAt(id, 'failed'))
    for (const steps of [...others, withoutShield]) expect(problemOf(facts({ steps }))).toBeDefined()
  })

  test('of an error is its sentence and detail, never its facts', () => {
    const error = new NightjarError('chain-not-served', { detail: 'there', facts: { secret: 'hidden' } })
    expect(problemOfError(error)).toEqual({
      code: 'chain-not-served',
      sentence: `${errorTable['chain-not-served'].sentence} (there)`,
    })
  })
})
