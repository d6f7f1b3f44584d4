/** What the wallet's own pages are shown by the background, and what they may tell it to do. */
import type { Address, Hex } from 'viem'

export interface Endpoint {
  readonly name: string
  readonly url: string
}

export interface Network {
  readonly chainId: Hex
  readonly name: string
  readonly symbol: string
  readonly endpoints: readonly Endpoint[]
  /** Index of the endpoint in use. */
  readonly defaultEndpoint: number
}

export interface Settings {
  /** Milliseconds between two polls while the home page is open. */
  readonly pollPeriod: number
  /** Milliseconds before the first repetition of a failed request; doubles with each. */
  readonly retryDelay: number
}

/** What the user is asked. */
export type Question =
  | { readonly kind: 'unlock' }
  | { readonly kind: 'connect' }
  | {
      readonly kind: 'add-network'
      readonly chainId: Hex
      readonly name: string
      readonly symbol: string
      readonly url: string
      /** The network's name so far, where the wallet has the chain already: then there are two dialogs. */
      readonly knownAs?: string
    }
  | { readonly kind: 'switch-network'; readonly chainId: Hex; readonly name: string }
  | {
      readonly kind: 'transaction'
      readonly network: string
      readonly from: Address
      readonly to: Address | null
      /** In ether. */
      readonly value: string
      /** In ether, at most. */
      readonly fee: string
      readonly data: Hex
    }
  | { readonly kind: 'sign'; readonly account: Address; readonly message: string }

export type Prompt = Question & { readonly id: string; readonly origin: string }

/** How a network was found by the last poll. */
export interface PollResult {
  readonly at: number
  readonly block?: Hex
  /** In ether, by account. */
  readonly balances: Readonly<Record<Address, string>>
  readonly problem?: string
}

export interface Snapshot {
  readonly isUnlocked: boolean
  readonly accounts: readonly Address[]
  readonly networks: readonly Network[]
  readonly settings: Settings
  readonly prompts: readonly Prompt[]
  readonly polls: Readonly<Record<Hex, PollResult>>
  readonly polled: number
}

/** Names of the ports on which pages are sent snapshots. */
export const uiPorts = ['home', 'notification', 'settings'] as const
export type UiPort = (typeof uiPorts)[number]

/** Sent with `chrome.runtime.sendMessage`; answered with the snapshot that it leads to. */
export type Command =
  | { readonly command: 'show' }
  /** `accounts`: the ones to connect, where that was asked. */
  | { readonly command: 'approve'; readonly id: string; readonly accounts?: readonly Address[] }
  | { readonly command: 'reject'; readonly id: string }
  | { readonly command: 'lock' }
  | { readonly command: 'unlock' }
  | { readonly command: 'configure'; readonly settings: Settings; readonly infuraUrl: string }
  | { readonly command: 'use-endpoint'; readonly chainId: Hex; readonly index: number }
