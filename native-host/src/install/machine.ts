/** What needs to be known of the computer; tests hand in another one. */
import { execFile } from 'node:child_process'
import { homedir } from 'node:os'

export interface Machine {
  readonly platform: NodeJS.Platform
  /** The user's home folder. */
  readonly home: string
  readonly environment: NodeJS.ProcessEnv
  /** Runs a program of the system to its end, which comes after `timeout` milliseconds at the latest. */
  run(
    file: string,
    args: readonly string[],
    timeout?: number,
  ): Promise<{ readonly ok: boolean; readonly stdout: string }>
}

export const thisMachine: Machine = {
  platform: process.platform,
  home: homedir(),
  environment: process.env,
  run: (file, args, timeout = 0) =>
    new Promise((resolve) => {
      execFile(file, args, { windowsHide: true, timeout }, (error, stdout) => resolve({ ok: error === null, stdout }))
    }),
}
