/**
 * Errors as they may be logged. Only NightjarErrors have words that are fit for a log; those of Node and of libraries
 * carry addresses (`connect ECONNREFUSED 192.0.2.1:443`), so of these only a code and the lines of code remain.
 */
import { NightjarError } from '@nightjar/shared/errors'

export interface LoggedError {
  readonly code?: string
  readonly detail?: string
  /** Stack frames alone, without the message that heads them. */
  readonly stack?: string
  readonly cause?: LoggedError
}

/** Deeper chains of causes are cut: they are accidents, or loops. */
const maxCauses = 8

/** `error` as it may be logged; its causes keep their codes only. */
export function describeError(error: unknown): LoggedError {
  const stack = framesOf(error)
  return { ...describeOne(error, maxCauses), ...(stack === undefined ? {} : { stack }) }
}

function describeOne(error: unknown, causesLeft: number): LoggedError {
  if (!(error instanceof Error)) return {}
  const code = codeOf(error)
  const cause = error.cause === undefined || causesLeft === 0 ? {} : describeOne(error.cause, causesLeft - 1)
  return {
    ...(code === undefined ? {} : { code }),
    ...(error instanceof NightjarError && error.detail !== undefined ? { detail: error.detail } : {}),
    ...(Object.keys(cause).length === 0 ? {} : { cause }),
  }
}

/** The code, if it looks like one: a library might put a sentence there. */
export function codeOf(error: Error): string | undefined {
  const code: unknown = 'code' in error ? error.code : undefined
  return typeof code === 'string' && /^[A-Za-z][A-Za-z0-9_-]{0,63}$/.test(code) ? code : undefined
}

function framesOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || typeof error.stack !== 'string') return undefined
  // V8 puts the message before the frames. A message of many lines may look like frames, so it is cut off as a whole,
  // and a stack that does not hold it (it was changed since) is not trusted at all.
  const start = error.stack.indexOf(error.message)
  if (start < 0) return undefined
  const frames = error.stack
    .slice(start + error.message.length)
    .split('\n')
    .filter((line) => /^ {4}at /.test(line))
  return frames.length === 0 ? undefined : frames.map((line) => line.trim()).join('\n')
}
