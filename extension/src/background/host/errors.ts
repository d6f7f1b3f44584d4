/** What Chromium says when native messaging fails (the texts of `runtime.lastError`), as our errors. */
import { type ErrorCode, isErrorCode, NightjarError } from '@nightjar/shared/errors'

const codes: readonly (readonly [RegExp, ErrorCode])[] = [
  // "Failed to start": its manifest is there, and what that names is not.
  [/host not found|no such native application|failed to start/i, 'host-not-installed'],
  [/forbidden|permission/i, 'host-forbidden'],
  [/error when communicating/i, 'host-garbled'],
]

/** @param lastError text of `runtime.lastError`, undefined where the program ended without one */
export function hostError(lastError: string | undefined): NightjarError {
  const code = codes.find(([text]) => text.test(lastError ?? ''))?.[1] ?? 'host-exited'
  return new NightjarError(code)
}

/** The error of a code that the daemon gave; one of a newer version is `fallback`. */
export function errorOfCode(code: string, fallback: ErrorCode = 'internal'): NightjarError {
  return new NightjarError(isErrorCode(code) ? code : fallback)
}

/** The error inside an answer of the daemon. */
export function errorOfAnswer(error: { code: number; message: string; data?: unknown }): NightjarError {
  const data = typeof error.data === 'object' ? error.data : undefined
  const { nightjar, ...facts } = (data ?? {}) as { readonly [key: string]: unknown }
  const code = typeof nightjar === 'string' && isErrorCode(nightjar) ? nightjar : 'internal'
  return new NightjarError(code, Object.keys(facts).length === 0 ? {} : { facts })
}
