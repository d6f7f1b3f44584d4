import { type ErrorCode, errorTable } from './codes.ts'

/**
 * Every error that Nightjar raises on purpose.
 *
 * `message` is the sentence of the table, followed by `detail` where one was given. A detail may name a config key or a
 * protocol field, never an address, key, method, request or destination, because messages are logged; what only the
 * user who asked may read goes into `facts`.
 */
export class NightjarError extends Error {
  override readonly name = 'NightjarError'
  readonly code: ErrorCode
  readonly detail: string | undefined
  /** Facts for the one who asked (a wallet, the command line). Never logged. */
  readonly facts: Readonly<Record<string, unknown>> | undefined

  constructor(
    code: ErrorCode,
    options: { detail?: string; facts?: Readonly<Record<string, unknown>>; cause?: unknown } = {},
  ) {
    const sentence = errorTable[code].sentence
    super(
      options.detail === undefined ? sentence : `${sentence} (${options.detail})`,
      options.cause === undefined ? undefined : { cause: options.cause },
    )
    this.code = code
    this.detail = options.detail
    this.facts = options.facts
  }
}

/** `error` as a NightjarError: itself, or wrapped as `fallback` with the original as its cause. */
export function asNightjarError(error: unknown, fallback: ErrorCode = 'internal'): NightjarError {
  return error instanceof NightjarError ? error : new NightjarError(fallback, { cause: error })
}

/** The error for whatever breaks docs/protocol.md; `detail` names the field, never its value. */
export function violation(detail: string): NightjarError {
  return new NightjarError('protocol-violation', { detail })
}
