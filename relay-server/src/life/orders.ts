/**
 * What the parent and its workers say to each other, over the channel that Node gives to a child process. Both are the
 * same program, so nothing is checked; addresses in it stay on this machine.
 *
 *     parent → worker   start(config) once · link(address), with the connection · reload(config), reloadKeys, read: each
 *                       answered · admitted · stop(seconds) · hurry
 *     worker → parent   alive, each second · started | failed · answered · checks, whenever they change · admit, for clients
 *                       of proxies: answered by admitted · release, when a connection that was admitted is over
 */

import { asNightjarError, type ErrorCode, NightjarError } from '@nightjar/shared/errors'
import type { AddressRefusal } from '@nightjar/shared-node/link'
import type { Reading } from '../admin/reading.ts'
import type { Check } from '../admin/status.ts'
import type { RelayConfig } from '../config.ts'

/** Those that are answered. */
export type Question =
  | { readonly order: 'reload'; readonly config: RelayConfig }
  | { readonly order: 'reloadKeys' }
  | { readonly order: 'read' }

export type Order =
  | { readonly order: 'start'; readonly config: RelayConfig }
  /** The address that it was counted for; of listed proxies none is. */
  | { readonly order: 'link'; readonly address?: string | undefined }
  | { readonly order: 'admitted'; readonly id: number; readonly refusal?: AddressRefusal | undefined }
  | { readonly order: 'stop'; readonly seconds: number }
  | { readonly order: 'hurry' }
  | (Question & { readonly id: number })

export type Report =
  | { readonly report: 'alive' }
  | { readonly report: 'started' }
  | { readonly report: 'failed'; readonly error: PlainError }
  | { readonly report: 'answered'; readonly id: number; readonly reading?: Reading; readonly error?: PlainError }
  | { readonly report: 'checks'; readonly checks: readonly Check[] }
  | { readonly report: 'admit'; readonly id: number; readonly address: string }
  | { readonly report: 'release'; readonly address: string }

/** Errors do not travel; what is ours of them does. */
export interface PlainError {
  readonly code: ErrorCode
  readonly detail?: string | undefined
}

export function plainError(error: unknown): PlainError {
  const { code, detail } = asNightjarError(error)
  return { code, detail }
}

export function errorOf({ code, detail }: PlainError): NightjarError {
  return new NightjarError(code, detail === undefined ? {} : { detail })
}
