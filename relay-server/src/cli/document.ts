/** Network documents as the commands handle them: reading, looking inside before anyone trusts them, joining. */
import { base64, equalBytes, fromBase64, fromUtf8 } from '@nightjar/shared/bytes'
import type { Crypto } from '@nightjar/shared/crypto'
import { type DocumentMark, documentMessage, parseSignedDocument } from '@nightjar/shared/directory'
import { NightjarError } from '@nightjar/shared/errors'
import { limits } from '@nightjar/shared/limits'
import { readText } from '@nightjar/shared-node/config'
import * as v from 'valibot'

/** The parts that the commands print or compare; `verifyDocument` is what checks a payload. */
const headSchema = v.object({
  version: v.pipe(v.number(), v.safeInteger()),
  validAfter: v.pipe(v.number(), v.safeInteger()),
  validUntil: v.pipe(v.number(), v.safeInteger()),
  previousHash: v.string(),
  relays: v.array(v.object({ descriptor: v.object({ payload: v.string(), signature: v.string() }) })),
})

export interface Signature {
  readonly key: Uint8Array
  readonly signature: Uint8Array
}

export interface DocumentFile {
  readonly file: string
  readonly text: string
  readonly payload: Uint8Array
  readonly signatures: readonly Signature[]
  readonly head: v.InferOutput<typeof headSchema>
}

/**
 * Reads a document and checks its outer form, not its signatures.
 * @throws NightjarError `file-unusable` or `document-malformed`, naming the file
 */
export async function readDocumentFile(file: string): Promise<DocumentFile> {
  const text = await readText(file, limits.documentBytes)
  return naming(file, async () => {
    const { payload: encoded, signatures } = parseSignedDocument(text)
    const payload = fromBase64(encoded)
    const head = v.safeParse(headSchema, JSON.parse(fromUtf8(payload)))
    if (!head.success) throw malformed('its payload has another form')
    return { file, text, payload, signatures, head: head.output }
  })
}

/** What a later document must come after. */
export function markOf(crypto: Crypto, document: DocumentFile): DocumentMark {
  return { version: document.head.version, hash: crypto.hash.sha256(document.payload) }
}

/**
 * The signatures of all documents, one for each key.
 * @throws NightjarError `document-malformed` where payloads differ, `document-under-signed` where a signature is wrong
 */
export async function joinSignatures(
  crypto: Crypto,
  documents: readonly DocumentFile[],
): Promise<readonly Signature[]> {
  const [first] = documents
  const joined: Signature[] = []
  for (const document of documents) {
    if (first !== undefined && !equalBytes(first.payload, document.payload)) {
      throw malformed(`${document.file} has another payload than ${first.file}`)
    }
    for (const { key, signature } of document.signatures) {
      if (!(await crypto.sign.verify(key, documentMessage(document.payload), signature))) {
        throw new NightjarError('document-under-signed', {
          detail: `${document.file}: the signature of ${base64(key)} is wrong`,
        })
      }
      if (!joined.some((other) => equalBytes(other.key, key))) joined.push({ key, signature })
    }
  }
  return joined
}

export function encodeDocument(payload: Uint8Array, signatures: readonly Signature[]): string {
  const texts = signatures.map(({ key, signature }) => ({ key: base64(key), signature: base64(signature) }))
  return `${JSON.stringify({ payload: base64(payload), signatures: texts })}\n`
}

/** Puts the name of `file` before what `action` finds wrong in it. */
export async function naming<T>(file: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action()
  } catch (cause) {
    if (cause instanceof SyntaxError) throw malformed(`${file} is not JSON`)
    if (!(cause instanceof NightjarError)) throw cause
    const code = cause.code === 'protocol-violation' ? 'document-malformed' : cause.code
    throw new NightjarError(code, { detail: `${file}${cause.detail === undefined ? '' : `: ${cause.detail}`}`, cause })
  }
}

export function malformed(detail: string): NightjarError {
  return new NightjarError('document-malformed', { detail })
}
