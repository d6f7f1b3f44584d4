/** An extension with nothing but a page, for what one extension asks of another. */
import { createHash, generateKeyPairSync } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface WrittenExtension {
  readonly folder: string
  readonly id: string
  readonly page: string
}

export function writeExtension(folder: string): WrittenExtension {
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const der = publicKey.export({ type: 'spki', format: 'der' })
  const manifest = { manifest_version: 3, name: 'Another extension', version: '1', key: der.toString('base64') }
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'manifest.json'), JSON.stringify(manifest))
  writeFileSync(join(folder, 'page.html'), '<!doctype html><title>Another extension</title>')
  const id = idOf(der)
  return { folder, id, page: `chrome-extension://${id}/page.html` }
}

/** The first 16 bytes of the key's SHA-256, each half of a byte as a letter from a to p. */
function idOf(der: Buffer): string {
  const digits = createHash('sha256').update(der).digest('hex').slice(0, 32)
  return Array.from(digits, (digit) => String.fromCharCode(97 + Number.parseInt(digit, 16))).join('')
}
