/** A snapshot for each state of things, for the gallery and for tests. */
import { type ErrorCode, errorTable } from '@nightjar/shared/errors'
import { hour, minute, second } from '@nightjar/shared/runtime'
import {
  type AccountsView,
  type ChainView,
  type Problem,
  type Settings,
  type ShieldView,
  type Snapshot,
  type Step,
  type StepId,
  stepIds,
} from '../../messages/ui.ts'
import type { SaveAnswer } from '../connection.ts'
import { metaMaskId } from '../texts.ts'

/** The time at which the fixtures play; the gallery's pages are opened with their clock standing there. */
export const fixtureTime = Date.UTC(2026, 4, 14, 21, 30)

export interface Fixture {
  readonly snapshot?: Snapshot
  readonly answer?: SaveAnswer
}

const settings: Settings = {
  wallet: metaMaskId,
  directory: {
    keys: ['hIcGYVB1KPFvmnqeBqJsC/rDmiXdXM8fbYcNkUMKsb0=', 'u5QnNsWHuNmkbX2vwBsy4pq4P3ZVHPVBzyfYeD0bhjk='],
    threshold: 2,
  },
  directoryIsBuiltIn: true,
  sites: [],
  shield: { choices: {}, added: [] },
  accounts: { apart: true, linking: 'refuse', compareCalls: true, freshness: 12 },
}

const down: ShieldView = { state: 'down', today: {}, hosts: {}, restartAdvised: false, watching: false, leaks: [] }

const up: ShieldView = {
  ...down,
  state: 'up',
  today: {
    wallet: { shielded: 312, blocked: 0 },
    rpc: { shielded: 1841, blocked: 2 },
    price: { shielded: 96, blocked: 0 },
    'phishing-list': { shielded: 24, blocked: 0 },
    explorer: { shielded: 7, blocked: 31 },
  },
  hosts: { 'infura.io': { shielded: 1841, blocked: 2 } },
}

const alone: AccountsView = {
  sites: { watched: 0, cold: 0, freshness: 12 },
  linked: [],
  answers: { verified: 0, compared: 0, unverified: 0 },
  disputes: 0,
  lies: [],
}

const apart: AccountsView = {
  ...alone,
  sites: { watched: 2, cold: 0, freshness: 12 },
  wallet: { watched: 10, cold: 0, freshness: 12 },
  answers: { verified: 1043, compared: 212, unverified: 87 },
}

const cold: AccountsView = {
  ...apart,
  sites: { watched: 2, cold: 1, freshness: 12 },
  wallet: { watched: 10, cold: 7, freshness: 12 },
  answers: { verified: 31, compared: 8, unverified: 12 },
}

const linked: AccountsView = {
  ...apart,
  linked: [
    { reason: 'transfer', isSent: true, count: 1 },
    { reason: 'multicall', isSent: false, count: 14 },
    { reason: 'other', isSent: false, count: 2 },
  ],
  disputes: 1,
  lies: [
    { gateway: 'rowan-gw', what: 'account', at: fixtureTime - 3 * minute },
    { gateway: 'willow-gw', what: 'block-hash', at: fixtureTime - 20 * second },
  ],
}

const party = (name: string, operator: string, region: string) => ({ name, operator, region })

const trunks = [
  { entry: party('alder-1', 'Alder', 'eu-west'), middle: party('birch-2', 'Birch Networks', 'eu-north') },
  { entry: party('cedar-1', 'Cedar', 'us-east'), middle: party('hazel-1', 'Hazel & Sons', 'eu-south') },
]

const gateways = [party('rowan-gw', 'Rowan', 'eu-central'), party('willow-gw', 'Willow', 'us-west')]

const chain = (id: number, name: string, state: ChainView['state'], wallet: ChainView['wallet']) => ({
  id,
  name,
  state,
  wallet,
})

const bothChains = [chain(1, 'Ethereum', 'served', 'agreed'), chain(11155111, 'Sepolia', 'served', 'agreed')]

const off: Snapshot = {
  state: 'off',
  steps: [],
  trunks: [],
  gateways: [],
  chains: [],
  wallet: { id: metaMaskId, state: 'none' },
  shield: down,
  accounts: alone,
  requestsToday: 0,
  settings,
}

const on: Snapshot = {
  ...off,
  state: 'private',
  steps: stepIds.map((id) => ({ id, state: 'done' })),
  trunks,
  gateways,
  chains: bothChains,
  wallet: { id: metaMaskId, state: 'seen', lastRequest: fixtureTime - 4 * second },
  shield: up,
  accounts: apart,
  requestsToday: 1284,
  hostVersion: '0.1.0',
  networkVersion: 412,
}

function problem(code: ErrorCode): Problem {
  return { code, sentence: errorTable[code].sentence }
}

/** Done up to the step, which is running, or failed with `code`. */
function at(id: StepId, code?: ErrorCode): Snapshot['steps'] {
  const place = stepIds.indexOf(id)
  return stepIds.map((each, index): Step => {
    if (index !== place) return { id: each, state: index < place ? 'done' : 'waiting' }
    return code === undefined ? { id: each, state: 'running' } : { id: each, state: 'failed', problem: problem(code) }
  })
}

function connecting(id: StepId): Snapshot {
  return { ...off, state: 'connecting', steps: at(id), ...(id !== 'host' && { hostVersion: '0.1.0' }) }
}

/** Without host, network, trunks and gateways nothing can be sent. */
function blocked(id: StepId, code: ErrorCode): Snapshot {
  return { ...connecting(id), state: 'blocked', steps: at(id, code), problem: problem(code) }
}

/** The other steps are of other doors: sites are private without them. */
function degraded(id: StepId, code: ErrorCode): Snapshot {
  return { ...on, state: 'degraded', steps: at(id, code), problem: problem(code), ...unsetWallet }
}

/** The other doors stand open without the shield. */
function unshielded(code: ErrorCode): Snapshot {
  const steps = on.steps.map(
    (step): Step => (step.id === 'shield' ? { ...step, state: 'failed', problem: problem(code) } : step),
  )
  return { ...on, state: 'degraded', steps, problem: problem(code), shield: down }
}

const leak = (host: string, site: string, count: number, age: number) => ({
  host,
  site,
  count,
  last: fixtureTime - age,
})

const leaks = [
  leak('node.some-chain-company.example', 'swap.example.org', 3, 2 * hour),
  leak('rpc.example.net', '', 1, 40 * minute),
  leak('rpc.example.com', 'app.example.org', 218, 12 * second),
]

const unsetWallet = {
  wallet: { id: metaMaskId, state: 'none' },
  chains: bothChains.map((each): ChainView => ({ ...each, wallet: 'unasked' })),
} as const

const longNames: Snapshot = {
  ...on,
  trunks: [
    {
      entry: party('a', 'Verein zur Förderung freier Netze Brandenburg e. V.', 'europe-central2-frankfurt'),
      middle: party('b', 'Donaudampfschifffahrtsgesellschaft', 'south-america-east1'),
    },
    { entry: party('c', 'Cedar', 'us-east'), middle: party('d', 'A', 'asia') },
  ],
  gateways: [
    party('e', 'The Society for the Preservation of Private Correspondence', 'northamerica-northeast1'),
    ...['Rowan', 'Willow', 'Linden', 'Maple', 'Oak'].map((name) => party(name, name, 'eu')),
  ],
}

const manyChains: Snapshot = {
  ...on,
  chains: [
    ...bothChains,
    chain(10, 'OP Mainnet', 'served', 'unasked'),
    chain(8453, 'Base', 'served', 'agreed'),
    chain(42161, 'Arbitrum One', 'unserved', 'unasked'),
    chain(137, 'Polygon', 'unchecked', 'unasked'),
    chain(100, 'Gnosis', 'served', 'agreed'),
    chain(59144, 'Linea', 'unserved', 'unasked'),
  ],
  requestsToday: 1_048_576,
}

export const fixtures = {
  loading: {},
  off: { snapshot: off },
  'off-wallet-set': { snapshot: { ...off, wallet: { id: metaMaskId, state: 'agreed' } } },
  'connecting-host': { snapshot: connecting('host') },
  'connecting-network': { snapshot: connecting('network') },
  'connecting-trunks': { snapshot: connecting('trunks') },
  'connecting-gateways': { snapshot: connecting('gateways') },
  'connecting-shield': { snapshot: connecting('shield') },
  'connecting-without-shield': {
    snapshot: {
      ...connecting('wallet'),
      steps: at('wallet').map((step) =>
        step.id === 'shield' ? { ...step, state: 'failed', problem: problem('proxy-taken') } : step,
      ),
    },
  },
  'connecting-endpoint': { snapshot: connecting('endpoint') },
  'connecting-wallet': { snapshot: connecting('wallet') },
  'connecting-watch': { snapshot: connecting('watch') },
  'connecting-failed': { snapshot: { ...connecting('wallet'), steps: at('wallet', 'wallet-refused') } },
  'failed-host': { snapshot: blocked('host', 'host-not-installed') },
  'failed-network': { snapshot: blocked('network', 'document-under-signed') },
  'failed-trunks': { snapshot: blocked('trunks', 'network-unreachable') },
  'failed-gateways': { snapshot: blocked('gateways', 'chain-not-served') },
  'failed-shield': { snapshot: unshielded('proxy-taken') },
  'failed-shield-unknown': { snapshot: unshielded('proxy-unknown') },
  'failed-endpoint': { snapshot: degraded('endpoint', 'endpoint-not-ours') },
  'failed-wallet': { snapshot: degraded('wallet', 'wallet-refused') },
  'failed-watch': {
    snapshot: {
      ...degraded('watch', 'wallet-unseen'),
      chains: bothChains,
      wallet: { id: metaMaskId, state: 'agreed' },
    },
  },
  private: { snapshot: on },
  'private-unseen': { snapshot: { ...on, wallet: { id: metaMaskId, state: 'agreed' }, requestsToday: 0 } },
  'private-quiet': { snapshot: { ...on, wallet: { id: metaMaskId, state: 'seen' } } },
  'private-sites': {
    snapshot: { ...on, settings: { ...settings, sites: ['https://*.example.org/*'] }, ...unsetWallet },
  },
  'private-restart': {
    snapshot: { ...on, shield: { ...up, today: { wallet: { shielded: 3, blocked: 0 } }, restartAdvised: true } },
  },
  'private-shield-trouble': {
    snapshot: { ...on, shield: { ...up, lastError: problem('host-unreachable'), watching: true, leaks } },
  },
  'private-linked': {
    snapshot: {
      ...on,
      accounts: linked,
      settings: { ...settings, accounts: { ...settings.accounts, linking: 'alone' } },
    },
  },
  'private-cold': { snapshot: { ...on, accounts: cold, requestsToday: 51 } },
  'private-no-accounts': { snapshot: { ...on, accounts: alone, requestsToday: 3 } },
  'private-error': {
    snapshot: { ...on, lastError: { ...problem('upstream-failed'), at: fixtureTime - 3 * minute }, requestsToday: 1 },
  },
  'private-long-names': { snapshot: longNames },
  'private-many-chains': { snapshot: manyChains },
  'private-one-path': { snapshot: { ...on, trunks: trunks.slice(0, 1), gateways: [] } },
  'degraded-endpoint': { snapshot: { ...on, state: 'degraded', problem: problem('endpoint-not-ours') } },
  'degraded-path': { snapshot: { ...on, state: 'degraded', problem: problem('link-lost'), trunks: trunks.slice(1) } },
  'degraded-chain': {
    snapshot: {
      ...on,
      state: 'degraded',
      problem: {
        code: 'chain-not-served',
        sentence:
          'No gateway serves Gnosis, so requests for it fail. Take it out of `chains` in config.yaml, or wait for one.',
      },
      chains: [chain(1, 'Ethereum', 'served', 'agreed'), chain(100, 'Gnosis', 'unserved', 'unasked')],
    },
  },
  'blocked-network': {
    snapshot: {
      ...on,
      state: 'blocked',
      problem: problem('network-unreachable'),
      trunks: [],
      gateways: [],
      shield: { ...up, lastError: problem('network-unreachable') },
      wallet: { id: metaMaskId, state: 'seen', lastRequest: fixtureTime - 2 * hour },
    },
  },
  'blocked-host': {
    snapshot: {
      ...blocked('host', 'host-exited'),
      wallet: { id: metaMaskId, state: 'seen' },
      shield: { ...down, state: 'closed' },
    },
  },
  'settings-own': {
    snapshot: {
      ...on,
      settings: {
        ...settings,
        directoryIsBuiltIn: false,
        sites: ['https://app.example.org/*', 'https://*.example.com/*'],
        shield: { choices: { 'infura.io': 'block' }, added: ['rpc.example.net'] },
        accounts: { apart: true, linking: 'alone', compareCalls: false, freshness: 60 },
      },
      shield: { ...up, watching: true, leaks },
    },
    answer: { saved: true },
  },
  'settings-refused': {
    // As if it had been typed.
    snapshot: { ...off, settings: { ...settings, wallet: 'metamask', directoryIsBuiltIn: false } },
    answer: { saved: false, field: 'wallet', reason: 'must be an extension id: 32 letters from a to p' },
  },
} as const satisfies Record<string, Fixture>

export type FixtureName = keyof typeof fixtures
