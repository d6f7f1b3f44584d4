/** What `doctor` looks at on this machine: folders that the relay writes to, and what the system lets it have. */
import { access, constants } from 'node:fs/promises'
import { dirname } from 'node:path'
import { readText } from '@nightjar/shared-node/config'
import type { RelayConfig } from '../config.ts'
import type { Finding } from './finding.ts'

/** Files that a process has open beside its links: providers, logs, libraries. */
const otherFiles = 256
const limitsFile = '/proc/self/limits'
const limitsBytes = 64 * 1024

/** New keys, and the descriptor, are written beside the old ones first. */
export async function checkFolders({ onion_keys_file: keys, descriptor }: RelayConfig): Promise<readonly Finding[]> {
  const folders = new Set([keys, ...(descriptor === undefined ? [] : [descriptor.file])].map((file) => dirname(file)))
  return Promise.all([...folders].map(folderFinding))
}

async function folderFinding(subject: string): Promise<Finding> {
  const isWritable = await access(subject, constants.W_OK | constants.X_OK).then(
    () => true,
    () => false,
  )
  if (isWritable) return { subject, status: 'ok', finding: 'new keys can be written here' }
  const remedy = 'Let the user that runs the relay write to this folder.'
  const finding = 'the keys of the next period cannot be written here'
  return { subject, status: 'problem', finding, remedy, code: 'file-unusable' }
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
