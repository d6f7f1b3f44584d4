/**
 * What is inside an envelope.
 *
 *     question = { "chain": 1, "cells": 4, "method": "eth_getBalance", "params": [...] }     cells = class of the answer
 *     answer   = { "result": … }  or  { "error": { code, message, data? } }
 *
 * No id: an answer comes on its question's stream, and the caller's id never leaves the caller's machine.
 */
import { fromJson, utf8 } from '../bytes/index.ts'
import { isSizeClass } from '../envelope/index.ts'
import { NightjarError } from '../errors/index.ts'
import { limits } from '../limits.ts'
import { type Call, type Outcome, parseCall, parseOutcome } from './jsonRpc.ts'

/** Followed, it tells of an account or a transaction at each block of a grid (docs/protocol.md, "Watches"). */
export const watchMethod = 'nightjar_watch'

/** The services that a gateway offers on streams. */
export const service = {
  /** First data: the hello of an envelope handshake; the answer is its reply. Once per branch. */
  envelope: 'envelope',
  /** One sealed question, one sealed answer. */
  rpc: 'rpc',
  /**
   * One sealed question, sealed answers of one size until either side ends. Its method says what is followed
   * (`eth_subscribe` of `newHeads`, `nightjar_watch`), so that whoever carries the records cannot tell.
   */
  follow: 'follow',
} as const

export interface Question extends Call {
  /** EIP-155 chain id. */
  readonly chain: number
  /** Size class of the answer. */
  readonly cells: number
}

export function encodeQuestion(question: Question): Uint8Array {
  const { chain, cells, method, params } = question
  return utf8(JSON.stringify({ chain, cells, method, params }))
}

/** @throws NightjarError `bad-request` */
export function decodeQuestion(text: Uint8Array): Question {
  const value = parseJson(text)
  if (typeof value !== 'object' || value === null) throw bad('question is not an object')
  const fields = value as { readonly [key: string]: unknown }
  const { chain, cells } = fields
  if (typeof chain !== 'number' || !Number.isSafeInteger(chain) || chain < 1) throw bad('chain')
  if (typeof cells !== 'number' || !isSizeClass(cells, limits.paddedAnswerCells)) throw bad('cells')
  return { ...parseCall(fields), chain, cells }
}

export function encodeAnswer(outcome: Outcome): Uint8Array {
  return utf8(JSON.stringify(outcome))
}

/** @throws NightjarError `bad-request` */
export function decodeAnswer(text: Uint8Array): Outcome {
  return parseOutcome(parseJson(text))
}

function parseJson(text: Uint8Array): unknown {
  try {
    return fromJson(text)
  } catch (cause) {
    throw new NightjarError('bad-request', { detail: 'not JSON', cause })
  }
}

function bad(field: string): NightjarError {
  return new NightjarError('bad-request', { detail: field })
}
