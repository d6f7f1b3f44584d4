/** Errors as the log has them: those that are to be expected say what happened and what to do, and no line of code. */
import { asNightjarError, errorTable } from '@nightjar/shared/errors'
import { describeError, type LogFacts } from '@nightjar/shared-node/log'

/** @param file that it is about, where its detail does not say it */
export function errorFacts(error: unknown, file?: string): LogFacts {
  const place = file === undefined ? {} : { file }
  const known = asNightjarError(error)
  // A mistake of ours: whoever mends it needs the stack.
  if (known.code === 'internal') return { error, ...place }
  const { stack: _, ...described } = describeError(known)
  return { error: { ...described, sentence: errorTable[known.code].sentence }, ...place }
}
