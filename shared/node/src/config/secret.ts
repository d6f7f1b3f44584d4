/** Secrets live in files of mode 0600 and nowhere else: not in the configuration, not in the environment. */
import { NightjarError } from '@nightjar/shared/errors'
import { Sensitive } from '../log/index.ts'
import { createAtomically, readHandle, withFile, writeAtomically } from './files.ts'

/** Keys and certificates' keys are a few kilobytes; more is a wrong file. */
const secretBytes = 64 * 1024
const secretMode = 0o600

/**
 * The text of a secret file, without the white space around it.
 * Refuses one that its group or others may use, because then it is no secret; Windows has no such bits, so not there.
 * @throws NightjarError `file-unusable`, with the command that repairs it
 */
export async function readSecret(path: string): Promise<Sensitive<string>> {
  return withFile(path, async (handle) => {
    const { mode } = await handle.stat()
    if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
      const bits = (mode & 0o777).toString(8).padStart(4, '0')
      throw new NightjarError('file-unusable', {
        detail: `${path} holds a secret but has mode ${bits}; run: chmod 600 ${quoted(path)}`,
      })
    }
    return new Sensitive((await readHandle(handle, path, secretBytes)).trim())
  })
}

/**
 * Writes a secret as a file of mode 0600, atomically.
 * @throws NightjarError `file-unusable`, also where the file exists and `overwrite` is not set
 */
export async function writeSecret(path: string, text: string, options: { overwrite?: boolean } = {}): Promise<void> {
  const write = options.overwrite === true ? writeAtomically : createAtomically
  await write(path, text, secretMode)
}

/** For a command that the user may paste into a shell. */
function quoted(path: string): string {
  return /^[\w./:@%+,-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`
}
