/** What commands that look for problems say of each thing that they looked at: what is, and what to do about it. */
import { asNightjarError, type ErrorCode, errorTable } from '@nightjar/shared/errors'
import type { CliContext } from './context.ts'

export interface Finding {
  /** The file or part that it is about. */
  readonly subject: string
  readonly status: 'ok' | 'note' | 'problem'
  readonly finding: string
  /** What to do; every problem has one. */
  readonly remedy?: string
  readonly code?: ErrorCode
}

/** `error` as a finding; what its code's sentence says to do is the remedy. */
export function problem(subject: string, error: unknown): Finding {
  const { code, detail } = asNightjarError(error)
  const { sentence } = errorTable[code]
  return { subject, status: 'problem', finding: detail ?? code, remedy: sentence, code }
}

/** In words, or as one line of JSON; the exit code is 1 where there is a problem. */
export function printFindings(context: CliContext, findings: readonly Finding[], asJson: boolean): void {
  const ok = findings.every(({ status }) => status !== 'problem')
  context.print(asJson ? `${JSON.stringify({ ok, findings })}\n` : inWords(findings))
  if (!ok) context.setExitCode(1)
}

function inWords(findings: readonly Finding[]): string {
  const lines = findings.map(({ subject, status, finding, remedy }) => {
    const label = { ok: 'ok     ', note: 'note   ', problem: 'PROBLEM' }[status]
    return `${label}  ${subject}: ${finding}\n${remedy === undefined ? '' : `         → ${remedy}\n`}`
  })
  const problems = findings.filter(({ status }) => status === 'problem').length
  return `${lines.join('')}${problems === 0 ? 'no problems' : `problems: ${problems}`}\n`
}
