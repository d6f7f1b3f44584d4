/**
 * What popup, options and first-run page are told by the background, and what they may ask of it. The background owns
 * all state; a page shows the latest snapshot and sends commands.
 */
import type { Party } from '@nightjar/shared/bridge'
import type { ErrorCode } from '@nightjar/shared/errors'

/** Name of the port between the extension's own pages and the background. */
export const uiPort = 'ui'

/**
 * `off`: nothing is touched. `connecting`: on its way, requests wait. `private`: everything that was turned on works.
 * `degraded`: sites are private, something else is not. `blocked`: nothing can be sent, and nothing goes direct.
 */
export type UiState = 'off' | 'connecting' | 'private' | 'degraded' | 'blocked'

export const stepIds = ['host', 'network', 'trunks', 'gateways', 'shield', 'endpoint', 'wallet', 'watch'] as const
/** The steps of going private, in their order. */
export type StepId = (typeof stepIds)[number]

export interface Step {
  readonly id: StepId
  readonly state: 'waiting' | 'running' | 'done' | 'failed'
  /** Why it failed. */
  readonly problem?: Problem
  /** What the user has to do while it runs, where it has to be said (such as approving a dialog). */
  readonly hint?: string
}

export interface Problem {
  readonly code: ErrorCode
  /** What happened and what to do, for the user. */
  readonly sentence: string
}

export interface ChainView {
  readonly id: number
  readonly name: string
  /** Whether a gateway answered for it. */
  readonly state: 'unchecked' | 'served' | 'unserved'
  /** Whether the wallet agreed to ask for this chain at the endpoint. */
  readonly wallet: 'unasked' | 'agreed'
}

/** What becomes of a host: over the network, nowhere, or where it went before. */
export const choiceIds = ['shield', 'block', 'leave'] as const
export type Choice = (typeof choiceIds)[number]

/** Connections of today, by the daemon's count. */
export interface ShieldCount {
  readonly shielded: number
  readonly blocked: number
}

/** A page that asked a chain at a host that is not listed. */
export interface Leak {
  readonly host: string
  /** Host of the page; empty where the browser does not say. */
  readonly site: string
  readonly count: number
  /** When it did so last, in milliseconds since the Unix epoch. */
  readonly last: number
}

export interface ShieldView {
  /** `up`: listed hosts go to the daemon. `closed`: it is not there, and they go nowhere. `down`: they go direct. */
  readonly state: 'down' | 'up' | 'closed'
  /** By category of the host list. */
  readonly today: Readonly<Record<string, ShieldCount>>
  /** The busiest, by suffix. */
  readonly hosts: Readonly<Record<string, ShieldCount & { readonly lastError?: string }>>
  /** Why the last connection failed, where it did. */
  readonly lastError?: Problem
  /** Connections that were open before may still be direct. */
  readonly restartAdvised: boolean
  /** Whether direct calls of pages may be watched for, and what was found since the browser's start. */
  readonly watching: boolean
  readonly leaks: readonly Leak[]
}

/** Calls that named several accounts at once. */
export interface Linked {
  /** Of shared/wallet, or of a newer daemon. */
  readonly reason: string
  /** Or refused. */
  readonly isSent: boolean
  readonly count: number
}

/** Accounts that are watched, each chain for itself. */
export interface WatchedView {
  readonly watched: number
  /** How many of them have no value yet, or again. */
  readonly cold: number
  /** How old a balance may be, in seconds. */
  readonly freshness: number
}

export interface AccountsView {
  readonly sites: WatchedView
  /** Undefined while the daemon is not there. */
  readonly wallet?: WatchedView
  /** What could not be kept apart, of late. */
  readonly linked: readonly Linked[]
  /** Answers since the start, by what is known of them. */
  readonly answers: { readonly verified: number; readonly compared: number; readonly unverified: number }
  /** How often gateways contradicted each other of late. */
  readonly disputes: number
  /** Gateways that said what was proved false, the newest last. */
  readonly lies: readonly { readonly gateway: string; readonly what: string; readonly at: number }[]
}

export interface Snapshot {
  readonly state: UiState
  /** Empty while off. */
  readonly steps: readonly Step[]
  /** What is wrong now; undefined where nothing is. */
  readonly problem?: Problem
  readonly trunks: readonly { readonly entry: Party; readonly middle: Party }[]
  readonly gateways: readonly Party[]
  readonly chains: readonly ChainView[]
  readonly wallet: {
    readonly id: string
    /** `none`: not asked. `agreed`: set, nothing came yet. `seen`: its requests come in. */
    readonly state: 'none' | 'agreed' | 'seen'
    /** When its last request came, in milliseconds since the Unix epoch. */
    readonly lastRequest?: number
  }
  readonly shield: ShieldView
  readonly accounts: AccountsView
  /** Requests of sites that were answered privately today. Kept on this machine only. */
  readonly requestsToday: number
  readonly lastError?: Problem & { readonly at: number }
  readonly hostVersion?: string
  readonly networkVersion?: number
  readonly settings: Settings
}

export interface Settings {
  /** Extension id of the wallet that is asked to use the endpoint. */
  readonly wallet: string
  /** Base64 Ed25519 keys of the directories, and how many must have signed. */
  readonly directory: { readonly keys: readonly string[]; readonly threshold: number }
  /** Whether `directory` is the one that came with the build. */
  readonly directoryIsBuiltIn: boolean
  /** Match patterns (`https://*.example.org/*`) of the sites that see the provider; empty for all. */
  readonly sites: readonly string[]
  /** Listed hosts that are not shielded, and hosts beside the list that are blocked. */
  readonly shield: { readonly choices: Readonly<Record<string, Choice>>; readonly added: readonly string[] }
  readonly accounts: {
    /** What becomes of a call that names several accounts and cannot be taken apart: refused, or sent alone. */
    /** Whether accounts are kept apart at all. */
    readonly apart: boolean
    readonly linking: 'refuse' | 'alone'
    /** Whether calls that name no account are asked of two gateways. */
    readonly compareCalls: boolean
    /** How old a balance may be, in seconds. */
    readonly freshness: number
  }
}

/** What the options page's form sets. */
export type Savable = Omit<Settings, 'directoryIsBuiltIn' | 'shield'>

export type UiCommand =
  | { readonly command: 'connect' }
  | { readonly command: 'cancel' }
  | { readonly command: 'disconnect' }
  /** Takes the failed steps again. */
  | { readonly command: 'retry' }
  | { readonly command: 'save'; readonly settings: Savable }
  | { readonly command: 'reset-directory' }
  /** For each of the hosts. One that is not listed can be blocked, and left alone again. */
  | { readonly command: 'choose'; readonly hosts: readonly string[]; readonly choice: Choice }
  | { readonly command: 'dismiss-restart' }
  | { readonly command: 'forget-leaks' }

/** Sent by the background: the state of things, and the answer to `save`. */
export type UiMessage =
  | { readonly snapshot: Snapshot }
  | { readonly saved: true }
  /** `field`: which setting was refused, with the reason. */
  | { readonly saved: false; readonly field: keyof Settings; readonly reason: string }
