/** Reading and writing whole small files: bounded, atomic, and with errors that say which file and what to do. */
import { randomBytes } from 'node:crypto'
import { type FileHandle, link, open, rename, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { NightjarError } from '@nightjar/shared/errors'

/**
 * The UTF-8 text of the file at `path`.
 * @throws NightjarError `file-unusable` where it cannot be read, is larger than `maxBytes` or is no UTF-8
 */
export async function readText(path: string, maxBytes: number): Promise<string> {
  return withFile(path, (handle) => readHandle(handle, path, maxBytes))
}

/** Runs `use` on the opened file, closes it, and gives system errors their typed form. */
export async function withFile<T>(path: string, use: (handle: FileHandle) => Promise<T>): Promise<T> {
  try {
    const handle = await open(path, 'r')
    try {
      return await use(handle)
    } finally {
      await handle.close()
    }
  } catch (cause) {
    throw fileError(path, cause)
  }
}

export async function readHandle(handle: FileHandle, path: string, maxBytes: number): Promise<string> {
  // Read up to the bound rather than trust the size of `stat`, which is 0 for pipes and may change meanwhile.
  const buffer = new Uint8Array(maxBytes + 1)
  let length = 0
  while (length < buffer.length) {
    const { bytesRead } = await handle.read(buffer, length, buffer.length - length)
    if (bytesRead === 0) break
    length += bytesRead
  }
  if (length > maxBytes) throw unusable(`${path} is larger than ${maxBytes} bytes`)
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(buffer.subarray(0, length))
  } catch (cause) {
    throw unusable(`${path} is not UTF-8 text`, cause)
  } finally {
    // The text may be a secret; its copy here need not outlive this call.
    buffer.fill(0)
  }
}

/**
 * Writes a file so that a reader, or a crash, finds either the old content or the new, never a part.
 * @param mode permission bits, such as 0o644; exact, whatever the umask
 * @throws NightjarError `file-unusable`
 */
export async function writeAtomically(path: string, text: string, mode: number): Promise<void> {
  await writeThenMove(path, text, mode, rename)
}

/** As `writeAtomically`, but refuses a path that already exists, however late it came to be. */
export async function createAtomically(path: string, text: string, mode: number): Promise<void> {
  await writeThenMove(path, text, mode, async (temporary, target) => {
    // link, unlike rename, fails where the target exists.
    await link(temporary, target)
    await unlink(temporary)
  })
}

async function writeThenMove(
  path: string,
  text: string,
  mode: number,
  move: (from: string, to: string) => Promise<void>,
): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`)
  try {
    const handle = await open(temporary, 'wx', mode)
    try {
      if (process.platform !== 'win32') await handle.chmod(mode)
      await handle.writeFile(text)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await move(temporary, path)
  } catch (cause) {
    // Where it was never created there is nothing to remove; the first error is the one to tell.
    await unlink(temporary).catch(() => undefined)
    throw fileError(path, cause)
  }
}

const findings: Readonly<Record<string, string>> = {
  ENOENT: 'does not exist, or its folder does not',
  ENOTDIR: 'lies below something that is no folder',
  EACCES: 'may not be used by this user: check the permissions of the file and its folder',
  EPERM: 'may not be used by this user: check the permissions of the file and its folder',
  EISDIR: 'is a folder, not a file',
  EEXIST: 'exists already and is not overwritten',
  ENOSPC: 'cannot be written: no space is left',
  EROFS: 'cannot be written: the file system is read-only',
}

/** `cause` as `file-unusable` with the finding in words; NightjarErrors stay what they are. */
export function fileError(path: string, cause: unknown): NightjarError {
  if (cause instanceof NightjarError) return cause
  const code = systemCode(cause) ?? 'unknown error'
  return unusable(`${path} ${findings[code] ?? `cannot be used: ${code}`}`, cause)
}

function systemCode(cause: unknown): string | undefined {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  return typeof code === 'string' ? code : undefined
}

function unusable(detail: string, cause?: unknown): NightjarError {
  return new NightjarError('file-unusable', { detail, cause })
}
