/** Where a network document comes from: a file, or HTTPS (plain HTTP on loopback only). The place needs no trust. */
import { readFile, stat } from 'node:fs/promises'
import { NightjarError } from '@nightjar/shared/errors'
import { limits } from '@nightjar/shared/limits'
import { second } from '@nightjar/shared/runtime'
import { fileError } from '../config/index.ts'
import { isLoopback } from '../link/index.ts'

/** Base64 swells the payload by a third, and the signatures come on top. */
const maxBytes = limits.documentBytes
const fetchTimeout = 10 * second

/** The text at `location`, a path or URL. @throws NightjarError `file-unusable`, `connect-failed` or `config-invalid` */
export async function readDocument(location: string): Promise<string> {
  if (!/^https?:/.test(location)) return readDocumentFile(location)
  const url = URL.parse(location)
  if (url === null) throw new NightjarError('config-invalid', { detail: 'network.document is no URL' })
  return fetchDocument(url)
}

async function readDocumentFile(path: string): Promise<string> {
  try {
    const { size } = await stat(path)
    if (size > maxBytes) throw new NightjarError('file-unusable', { detail: 'network document larger than the limit' })
    return await readFile(path, 'utf8')
  } catch (cause) {
    // Not where it is: websites are told why a request failed.
    throw fileError('the network document', cause)
  }
}

async function fetchDocument(url: URL): Promise<string> {
  if (url.protocol !== 'https:' && !isLoopback(url.hostname)) {
    throw new NightjarError('config-invalid', { detail: 'network.document must be https' })
  }
  try {
    const response = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(fetchTimeout) })
    if (!response.ok || response.body === null) throw new Error(`status ${response.status}`)
    let text = ''
    for await (const part of response.body.pipeThrough(new TextDecoderStream())) {
      text += part
      if (text.length > maxBytes) throw new Error('larger than the limit')
    }
    return text
  } catch (cause) {
    throw new NightjarError('connect-failed', { detail: 'the network document could not be fetched', cause })
  }
}
