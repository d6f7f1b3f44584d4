/** What `doctor` looks at on this machine: folders that the relay writes to, and what the system lets it have. */
import { randomBytes } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { asNightjarError } from '@nightjar/shared/errors'
import { readText, writeAtomically } from '@nightjar/shared-node/config'
import type { RelayConfig } from '../config.ts'
import type { Finding } from './finding.ts'

/** Files that a process has open beside its links: providers, logs, libraries. */
const otherFiles = 256
/** More than keys and descriptor have. */
const trialBytes = 16 * 1024
const limitsFile = '/proc/self/limits'
const limitsBytes = 64 * 1024

/**
 * New keys, and the descriptor, are written beside the old ones first: whether a file of their size can be, and not only
 * whether this user may, as the disk may be full.
 * @param write as `writeAtomically`
 */
export async function checkFolders(
  { onion_keys_file: keys, descriptor }: RelayConfig,
  write = writeAtomically,
): Promise<readonly Finding[]> {
  const folders = new Set([keys, ...(descriptor === undefined ? [] : [descriptor.file])].map((file) => dirname(file)))
  return Promise.all([...folders].map((folder) => folderFinding(folder, write)))
}

async function folderFinding(subject: string, write: typeof writeAtomically): Promise<Finding> {
  const file = join(subject, `.nightjar-doctor.${randomBytes(6).toString('hex')}`)
  try {
    await write(file, 'x'.repeat(trialBytes), 0o600)
    return { subject, status: 'ok', finding: 'new keys can be written here' }
  } catch (error) {
    const { cause, code } = asNightjarError(error)
    const system = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
    const finding = 'the keys of the next period cannot be written here'
    const isFull = system === 'ENOSPC' || system === 'EDQUOT'
    const why = isFull ? ': no space is left' : system === '' ? '' : `: ${system}`
    const remedy = isFull
      ? 'Make room on the file system of this folder: without new keys no client can use the relay in a week or two.'
      : 'Let the user that runs the relay write to this folder.'
    return { subject, status: 'problem', finding: `${finding}${why}`, remedy, code }
  } finally {
    await rm(file, { force: true })
  }
}

/** @param file where the system says what it lets this process have */
export async function checkOpenFiles(config: RelayConfig, file = limitsFile): Promise<readonly Finding[]> {
  const subject = 'open files'
  const wanted =
    Math.ceil(config.limits.max_connections / config.workers) + (config.exit?.max_streams ?? 0) + otherFiles
  const allowed = await readText(file, limitsBytes).then(openFilesIn, () => undefined)
  if (allowed === undefined)
    return [{ subject, status: 'note', finding: 'this system does not say how many it allows' }]
  const finding = `${allowed} for each process; limits.max_connections and exit.max_streams take up to ${wanted}`
  if (allowed >= wanted) return [{ subject, status: 'ok', finding }]
  const remedy = `Raise it: LimitNOFILE=${wanted} in the systemd unit, or ulimit -n ${wanted}; or lower those limits.`
  return [{ subject, status: 'problem', finding, remedy, code: 'limit-reached' }]
}

/** The soft limit, from the table of proc(5). */
function openFilesIn(text: string): number | undefined {
  const soft = /^Max open files\s+(\d+|unlimited)/m.exec(text)?.[1]
  if (soft === undefined) return undefined
  return soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft)
}
