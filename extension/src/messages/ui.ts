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

export const stepIds = ['host', 'network', 'trunks', 'gateways', 'endpoint', 'wallet', 'watch'] as const
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
}

export type UiCommand =
  | { readonly command: 'connect' }
  | { readonly command: 'cancel' }
  | { readonly command: 'disconnect' }
  /** Takes the failed steps again. */
  | { readonly command: 'retry' }
  | { readonly command: 'save'; readonly settings: Omit<Settings, 'directoryIsBuiltIn'> }
  | { readonly command: 'reset-directory' }

/** Sent by the background: the state of things, and the answer to `save`. */
export type UiMessage =
  | { readonly snapshot: Snapshot }
  | { readonly saved: true }
  /** `field`: which setting was refused, with the reason. */
  | { readonly saved: false; readonly field: keyof Settings; readonly reason: string }
