/**
 * Starting a daemon that outlives its starter, and learning how that went: the new process says so itself, over the
 * channel that Node makes for it. It inherits nothing else, as an inherited stdio would hold up the browser's exit.
 */
import { spawn } from 'node:child_process'
import { asNightjarError, isErrorCode, NightjarError } from '@nightjar/shared/errors'
import * as v from 'valibot'

const startReport = v.variant('serving', [
  v.strictObject({ serving: v.literal(true) }),
  v.strictObject({ serving: v.literal(false), code: v.string(), detail: v.optional(v.string()) }),
])

type StartReport = v.InferOutput<typeof startReport>

/**
 * Runs `script up` in a session of its own; resolves once it serves.
 * @throws NightjarError the daemon's own, or `daemon-failed` where it ended without a word
 */
export function launchDaemon(script: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [script, 'up'], {
      detached: true,
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      // Not the browser's folder, which could then not be unmounted.
      cwd: '/',
      windowsHide: true,
    })
    // Neither the process nor the channel to it keeps the launcher from ending.
    child.unref()
    child.channel?.unref()
    child.once('message', (message) => {
      const failure = failureIn(message)
      if (failure === undefined) resolve()
      else reject(failure)
      if (child.connected) child.disconnect()
    })
    child.once('error', (cause) => reject(new NightjarError('daemon-failed', { cause })))
    child.once('exit', (code, signal) => {
      reject(new NightjarError('daemon-failed', { detail: `it ended with ${signal ?? `exit code ${code}`}` }))
    })
  })
}

function failureIn(message: unknown): NightjarError | undefined {
  const { success, output } = v.safeParse(startReport, message)
  if (!success) return new NightjarError('daemon-failed')
  if (output.serving) return undefined
  const { code, detail } = output
  return new NightjarError(isErrorCode(code) ? code : 'daemon-failed', detail === undefined ? {} : { detail })
}

/** In the daemon: tells whoever launched it, if anybody did, that it serves, or with `error` why not. */
export function reportStart(error?: unknown): Promise<void> {
  return new Promise((resolve) => {
    if (process.send === undefined || !process.connected) return resolve()
    // A launcher that is gone by now needs no report.
    process.send(reportOf(error), () => resolve())
  })
}

function reportOf(error: unknown): StartReport {
  if (error === undefined) return { serving: true }
  const { code, detail } = asNightjarError(error)
  return { serving: false, code, ...(detail === undefined ? {} : { detail }) }
}
