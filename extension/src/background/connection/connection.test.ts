/** Going private, from the click on: what each step shows, how each may fail, and what is tried again by itself. */
import { type ErrorCode, NightjarError } from '@nightjar/shared/errors'
import { toRpcError } from '@nightjar/shared/rpc'
import { hour, minute, second } from '@nightjar/shared/runtime'
import { turn } from '@nightjar/shared/testing'
import { describe, expect, test } from 'vitest'
import { type StepId, stepIds, type UiState } from '../../messages/ui.ts'
import { endpointUrl } from '../testing/fixtures.ts'
import { createNetwork } from '../testing/network.ts'
import { Stage } from '../testing/stage.ts'

const network = await createNetwork({ one: [1], two: [1, 10] })
const walletCalls = (stage: Stage) => [
  { origin: 'chrome-extension://nkbihfbeogaeaoehlefnkodbefgpgknn', chain: 1, requests: 1, last: stage.clock.now() },
]
const upstreamFailed = { error: { code: -32603, message: 'no', data: { nightjar: 'upstream-failed' } } }

async function setUp(change: (stage: Stage) => void = () => undefined) {
  const stage = await Stage.set(network)
  change(stage)
  await stage.start()
  return stage
}

describe('one click', () => {
  test('takes every step in its order, and ends with the wallet’s first request', async () => {
    const stage = await setUp()
    expect([stage.snapshot.state, stage.snapshot.steps]).toEqual(['off', []])
    const shown: string[] = []
    stage.ui.onPosted = () => shown.push(stage.at)
    await stage.command({ command: 'connect' })
    expect([stage.snapshot.state, stage.at]).toEqual(['connecting', 'watch running'])
    expect(stage.snapshot.steps.at(-1)?.hint).toMatch(/Open your wallet/)
    stage.daemon.setStatus({ callers: walletCalls(stage) })
    await turn()
    expect(stage.snapshot.state).toBe('private')
    expect(stage.snapshot.steps.every(({ state }) => state === 'done')).toBe(true)
    expect([...new Set(shown)]).toEqual([...stepIds.map((id) => `${id} running`), 'nowhere'])
    expect(stage.states).toEqual(['off', 'connecting', 'private'])
  })

  test('shows what there is to show', async () => {
    const stage = await setUp()
    await stage.command({ command: 'connect' })
    stage.daemon.setStatus({ callers: walletCalls(stage), gateways: [{ name: 'one', operator: 'o', region: 'r' }] })
    await turn()
    expect(stage.snapshot).toMatchObject({
      trunks: stage.daemon.status.trunks,
      gateways: [{ name: 'one' }],
      chains: [{ id: 1, name: 'Ethereum', state: 'served', wallet: 'agreed' }],
      wallet: { state: 'seen', lastRequest: stage.clock.now() },
      hostVersion: '0.1.0',
      networkVersion: 1,
      requestsToday: 0,
    })
    expect(stage.snapshot.problem).toBeUndefined()
  })

  test('leads to a wallet that asks where it was told to', async () => {
    const stage = await setUp()
    await stage.command({ command: 'connect' })
    expect(stage.wallet.asked).toMatchObject([{ chainId: '0x1', rpcUrls: [endpointUrl] }])
  })
})

interface Failure {
  break(stage: Stage): unknown
  mend(stage: Stage): unknown
  readonly at: StepId
  readonly state: UiState
  readonly code: ErrorCode
  /** Milliseconds until it is noticed. */
  readonly after?: number
}

const failures: Readonly<Record<string, Failure>> = {
  'the program is not installed': {
    break: ({ daemon }) => Object.assign(daemon, { absent: 'Specified native messaging host not found.' }),
    mend: ({ daemon }) => Object.assign(daemon, { absent: undefined }),
    at: 'host',
    state: 'blocked',
    code: 'host-not-installed',
  },
  'the program knows another extension': {
    break: ({ daemon }) =>
      Object.assign(daemon, { absent: 'Access to the specified native messaging host is forbidden.' }),
    mend: ({ daemon }) => Object.assign(daemon, { absent: undefined }),
    at: 'host',
    state: 'blocked',
    code: 'host-forbidden',
  },
  'the program is older': {
    break: ({ daemon }) => Object.assign(daemon, { bridge: daemon.bridge - 1 }),
    mend: ({ daemon }) => Object.assign(daemon, { bridge: daemon.bridge + 1 }),
    at: 'host',
    state: 'blocked',
    code: 'host-outdated',
  },
  'the program never answers': {
    break: ({ daemon }) => daemon.on('hello', () => 'never'),
    mend: ({ daemon }) => daemon.off('hello'),
    at: 'host',
    state: 'blocked',
    code: 'timed-out',
    after: 20 * second,
  },
  'the network document is under-signed': {
    break: async ({ daemon, clock }) =>
      Object.assign(daemon, { document: await network.document(clock.now(), { version: 2, signers: [0] }) }),
    mend: async ({ daemon, clock }) => Object.assign(daemon, { document: await network.document(clock.now()) }),
    at: 'network',
    state: 'blocked',
    code: 'document-under-signed',
  },
  'the daemon has no network document': {
    break: ({ daemon }) => daemon.on('document', () => ({ error: toRpcError(new NightjarError('document-expired')) })),
    mend: ({ daemon }) => daemon.off('document'),
    at: 'network',
    state: 'blocked',
    code: 'document-expired',
  },
  'the network cannot be reached': {
    break: ({ daemon }) =>
      Object.assign(daemon, { status: { ...daemon.status, state: 'blocked', lastError: 'connect-failed' } }),
    mend: ({ daemon }) => daemon.setStatus({ state: 'degraded', lastError: null }),
    at: 'trunks',
    state: 'blocked',
    code: 'network-unreachable',
    after: 12 * second,
  },
  'no gateway can ask its provider': {
    break: ({ daemon }) => Object.assign(daemon, { answer: () => upstreamFailed }),
    mend: ({ daemon }) => Object.assign(daemon, { answer: () => ({ result: '0x1' }) }),
    at: 'gateways',
    state: 'blocked',
    code: 'chain-not-served',
  },
  'the gateways are on another chain': {
    break: ({ daemon }) => Object.assign(daemon, { answer: () => ({ result: '0x5' }) }),
    mend: ({ daemon }) => Object.assign(daemon, { answer: () => ({ result: '0x1' }) }),
    at: 'gateways',
    state: 'blocked',
    code: 'chain-not-served',
  },
  'another program answers on the endpoint’s port': {
    break: ({ daemon }) => Object.assign(daemon, { post: async () => '00'.repeat(32) }),
    mend: ({ daemon }) => Object.assign(daemon, { post: daemon.prove }),
    at: 'endpoint',
    state: 'degraded',
    code: 'endpoint-not-ours',
  },
  'the endpoint is said to be elsewhere': {
    break: ({ daemon }) => Object.assign(daemon, { status: { ...daemon.status, endpoint: 'https://evil.example/1' } }),
    mend: ({ daemon }) => daemon.setStatus({ endpoint: endpointUrl }),
    at: 'endpoint',
    state: 'degraded',
    code: 'endpoint-not-ours',
  },
}

describe.each(Object.entries(failures))('where %s', (_, failure) => {
  const { at, state, code, after = 0 } = failure

  test('it stops there and says so, goes on trying, and then goes on', async () => {
    const stage = await setUp()
    await failure.break(stage)
    await stage.command({ command: 'connect' })
    await stage.clock.elapse(after)
    expect([stage.at, stage.snapshot.state, stage.problem]).toEqual([`${at} failed`, state, code])
    expect(stage.snapshot.problem?.sentence).toMatch(/\. .*\./)
    await stage.clock.elapse(3 * minute)
    expect([stage.stateOf(at), stage.wallet.asked]).toEqual([expect.stringMatching(/failed|running/), []])
    await failure.mend(stage)
    await stage.clock.elapse(40 * second)
    // The click still stands: the wallet had not been asked.
    expect([stage.stateOf(at), stage.wallet.chains]).toEqual(['done', [1]])
  })

  test('it is tried at once when the user wants it', async () => {
    const stage = await setUp()
    await failure.break(stage)
    await stage.command({ command: 'connect' })
    await stage.clock.elapse(after)
    await failure.mend(stage)
    await stage.command({ command: 'retry' })
    expect([stage.stateOf(at), stage.wallet.chains]).toEqual(['done', [1]])
  })

  test('it can be given up', async () => {
    const stage = await setUp()
    await failure.break(stage)
    await stage.command({ command: 'connect' })
    await stage.clock.elapse(after)
    await stage.command({ command: 'cancel' })
    expect([stage.snapshot.state, stage.snapshot.steps, stage.problem]).toEqual(['off', [], undefined])
    await failure.mend(stage)
    await stage.clock.elapse(10 * minute)
    expect([stage.snapshot.state, stage.wallet.asked, stage.clock.pending]).toEqual(['off', [], 0])
  })
})

describe('tries', () => {
  test('come after growing pauses, 30 seconds at most', async () => {
    const stage = await setUp()
    const { clock, daemon } = stage
    const times: number[] = []
    daemon.on('document', () => {
      times.push(clock.now())
      return { result: { text: '' } }
    })
    await stage.command({ command: 'connect' })
    await clock.elapse(3 * minute)
    const pauses = times.slice(1).map((time, index) => (time - (times[index] as number)) / second)
    expect(pauses.slice(0, 7)).toEqual([1, 2, 4, 8, 16, 30, 30])
  })

  test('begin with what failed, not with what holds', async () => {
    const stage = await setUp()
    const { daemon, clock } = stage
    daemon.post = async () => undefined
    await stage.command({ command: 'connect' })
    daemon.requests.length = 0
    daemon.post = daemon.prove
    await clock.elapse(second)
    expect(stage.stateOf('endpoint')).toBe('done')
    expect(daemon.requests).toEqual([])
  })
})

describe('given up', () => {
  test.each<[string, (stage: Stage) => unknown]>([
    ['while the program greets', ({ daemon }) => daemon.on('hello', () => 'never')],
    ['while the document is fetched', ({ daemon }) => daemon.on('document', () => 'never')],
    ['while the status is asked', ({ daemon }) => daemon.on('status', () => 'never')],
    [
      'while trunks are built',
      ({ daemon }) => Object.assign(daemon, { status: { ...daemon.status, state: 'connecting' } }),
    ],
    ['while gateways are asked', ({ daemon }) => Object.assign(daemon, { answer: () => undefined })],
    [
      'while the endpoint is checked',
      ({ daemon }) => Object.assign(daemon, { post: () => new Promise(() => undefined) }),
    ],
    ['while the wallet shows its dialog', ({ wallet }) => Object.assign(wallet, { mood: 'silent' })],
    ['while the wallet is waited for', () => undefined],
  ])('%s, nothing goes on', async (_, hold) => {
    const stage = await setUp()
    await hold(stage)
    await stage.command({ command: 'connect' })
    expect(stage.snapshot.state).toBe('connecting')
    const { length } = stage.wallet.asked
    await stage.command({ command: 'cancel' })
    expect([stage.snapshot.state, stage.wallet.isAsking]).toEqual(['off', false])
    await stage.clock.elapse(hour)
    expect([stage.snapshot.state, stage.wallet.asked.length, stage.daemon.ports.all.length]).toEqual(['off', length, 1])
    expect(stage.clock.pending).toBe(0)
  })

  test('and begun again, it takes all steps again', async () => {
    const stage = await setUp(({ wallet }) => Object.assign(wallet, { mood: 'silent' }))
    await stage.command({ command: 'connect' })
    await stage.command({ command: 'cancel' })
    stage.wallet.mood = 'approves'
    await stage.command({ command: 'connect' })
    expect([stage.at, stage.wallet.chains, stage.daemon.ports.all.length]).toEqual(['watch running', [1, 1], 2])
  })
})
