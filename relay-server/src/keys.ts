/**
 * A relay's keys and the two files they live in, both of mode 0600:
 *
 *     identity file   base64 of a 32-byte Ed25519 seed; lasts for years. A directory key has the same form.
 *     onion key file  JSON { version: 1, keys: [{ use, id, secret, validAfter, validUntil }] }; X25519, renewed weekly,
 *                     base64 and milliseconds since the Unix epoch
 *
 * Keys of a use follow each other without a gap; the one of the next period is made, and published, one period ahead.
 */
import { access } from 'node:fs/promises'
import { base64, equalBytes, fromBase64 } from '@nightjar/shared/bytes'
import { type Crypto, type DhKeyPair, type SigningKey, size } from '@nightjar/shared/crypto'
import { NightjarError } from '@nightjar/shared/errors'
import { type Purpose, purpose } from '@nightjar/shared/handshake'
import { day, hour } from '@nightjar/shared/runtime'
import { readSecret, writeSecret } from '@nightjar/shared-node/config'
import * as v from 'valibot'
import type { RelayConfig } from './config.ts'

/** How long a key is valid unless told otherwise. */
export const keyValidity = 7 * day
/** How long a relay honours a key after its validity, for clients that still hold the document before. */
export const keyGrace = day

/** The first key is valid from this long ago, for clients whose clock is behind. */
const clockAllowance = hour

export type KeyFiles = Pick<RelayConfig, 'identity_file' | 'onion_keys_file'>

export type KeyUse = 'onion' | 'envelope'
const uses: readonly KeyUse[] = ['onion', 'envelope']

/** Those without which a relay of these roles is of no use. */
export function usesOf({ roles }: Pick<RelayConfig, 'roles'>): readonly KeyUse[] {
  return roles.includes('gateway') ? uses : ['onion']
}

export interface RelayKey {
  readonly id: Uint8Array
  readonly pair: DhKeyPair
  /** Milliseconds since the Unix epoch. */
  readonly validAfter: number
  readonly validUntil: number
}

export interface RelayKeys {
  readonly identity: SigningKey
  /** All that the file holds, oldest first. */
  readonly onion: readonly RelayKey[]
  readonly envelope: readonly RelayKey[]
  /** The key of this id, if it may be used for `purpose` at `now`: from `validAfter` until one day after `validUntil`. */
  findKey(keyId: Uint8Array, purpose: Purpose, now: number): DhKeyPair | undefined
}

interface StoredKey {
  readonly use: KeyUse
  readonly id: string
  readonly secret: string
  readonly validAfter: number
  readonly validUntil: number
}

const time = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
const storedKeysSchema = v.strictObject({
  version: v.literal(1),
  keys: v.pipe(
    v.array(
      v.strictObject({
        use: v.picklist(['onion', 'envelope']),
        id: v.string(),
        secret: v.string(),
        validAfter: time,
        validUntil: time,
      }),
    ),
    v.maxLength(64),
  ),
})

export interface KeyTimes {
  /** Milliseconds since the Unix epoch. */
  readonly now: number
  /** Milliseconds; a week unless given. */
  readonly validity?: number
}

/**
 * Makes a relay's keys: the identity, and for either use the key of this period and of the next.
 * @returns the public identity key
 * @throws NightjarError `file-unusable` where one of the files exists already; then nothing is written
 */
export async function createKeys(crypto: Crypto, files: KeyFiles, times: KeyTimes): Promise<Uint8Array> {
  for (const file of [files.identity_file, files.onion_keys_file]) {
    if (await exists(file)) throw unusable(`${file} exists already and is not overwritten`)
  }
  const identity = await createSigningKey(crypto, files.identity_file)
  await store(files.onion_keys_file, await succeed(crypto, [], times))
  return identity
}

/**
 * Brings the onion key file up to date: drops keys that are no longer honoured, and makes those that are missing for
 * this period and the next. Where the file is gone it makes a new one. Does nothing when called again.
 * @returns how many keys it made
 * @throws NightjarError `file-unusable`
 */
export async function renewKeys(crypto: Crypto, files: KeyFiles, times: KeyTimes): Promise<number> {
  const path = files.onion_keys_file
  const before = (await exists(path)) ? await readStored(path) : []
  const after = await succeed(crypto, before, times)
  const made = after.filter((key) => !before.includes(key)).length
  if (made > 0 || after.length !== before.length) await store(path, after)
  return made
}

/** @throws NightjarError `file-unusable`: missing, readable by others, or of another form */
export async function loadKeys(crypto: Crypto, files: KeyFiles): Promise<RelayKeys> {
  const identity = await loadSigningKey(crypto, files.identity_file)
  const stored = await readStored(files.onion_keys_file)
  const ofUse = (use: KeyUse) =>
    Promise.all(
      stored
        .filter((key) => key.use === use)
        .sort((a, b) => a.validAfter - b.validAfter)
        .map((key) => openKey(crypto, files.onion_keys_file, key)),
    )
  const [onion, envelope] = [await ofUse('onion'), await ofUse('envelope')]

  function findKey(keyId: Uint8Array, kind: Purpose, now: number): DhKeyPair | undefined {
    const candidates = kind === purpose.hop ? onion : kind === purpose.envelope ? envelope : []
    const key = candidates.find(({ id }) => equalBytes(id, keyId))
    const honoured = key !== undefined && key.validAfter <= now && now < key.validUntil + keyGrace
    return honoured ? key.pair : undefined
  }

  return { identity, onion, envelope, findKey }
}

/** First 8 bytes of SHA-256 of an X25519 public key. */
export function keyIdOf(crypto: Crypto, publicKey: Uint8Array): Uint8Array {
  return crypto.hash.sha256(publicKey).slice(0, size.keyId)
}

/**
 * Makes an Ed25519 key, for an identity or a directory.
 * @returns the public key
 * @throws NightjarError `file-unusable`, also where the file exists
 */
export async function createSigningKey(crypto: Crypto, path: string): Promise<Uint8Array> {
  const seed = crypto.randomBytes(size.key)
  const { publicKey } = await crypto.sign.fromSeed(seed)
  await writeSecret(path, `${base64(seed)}\n`)
  return publicKey
}

/** @throws NightjarError `file-unusable` */
export async function loadSigningKey(crypto: Crypto, path: string): Promise<SigningKey> {
  const text = await readSecret(path)
  return crypto.sign.fromSeed(decodeKey(path, text.reveal()))
}

/** The keys to hold at `now`: those still honoured, followed without a gap up to the end of the next period. */
async function succeed(crypto: Crypto, stored: readonly StoredKey[], times: KeyTimes): Promise<StoredKey[]> {
  const { now, validity = keyValidity } = times
  const kept = stored.filter((key) => now < key.validUntil + keyGrace)
  for (const use of uses) {
    const current = kept.filter((key) => key.use === use && now < key.validUntil)
    let end = current.length === 0 ? now - clockAllowance : Math.max(...current.map((key) => key.validUntil))
    for (let count = current.length; count < 2; count++) {
      kept.push(await generateKey(crypto, use, end, end + validity))
      end += validity
    }
  }
  return kept
}

async function generateKey(crypto: Crypto, use: KeyUse, validAfter: number, validUntil: number): Promise<StoredKey> {
  const secret = crypto.randomBytes(size.key)
  const { publicKey } = await crypto.dh.fromSecret(secret)
  return { use, id: base64(keyIdOf(crypto, publicKey)), secret: base64(secret), validAfter, validUntil }
}

async function openKey(crypto: Crypto, path: string, key: StoredKey): Promise<RelayKey> {
  const pair = await crypto.dh.fromSecret(decodeKey(path, key.secret))
  const id = keyIdOf(crypto, pair.publicKey)
  if (base64(id) !== key.id) throw unusable(`${path} has a key whose id does not belong to it`)
  if (key.validUntil <= key.validAfter) throw unusable(`${path} has a key whose validity ends before it begins`)
  return { id, pair, validAfter: key.validAfter, validUntil: key.validUntil }
}

async function store(path: string, keys: readonly StoredKey[]): Promise<void> {
  await writeSecret(path, `${JSON.stringify({ version: 1, keys }, undefined, 2)}\n`, { overwrite: true })
}

async function readStored(path: string): Promise<readonly StoredKey[]> {
  const text = await readSecret(path)
  const result = v.safeParse(storedKeysSchema, parseJson(path, text.reveal()))
  if (result.success) return result.output.keys
  // The key's place only: a valibot message would quote its value.
  throw unusable(`${path} is not an onion key file: ${v.getDotPath(result.issues[0]) ?? 'its top level'} is wrong`)
}

function parseJson(path: string, text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Without the cause: JSON.parse quotes the text, which is secret.
    throw unusable(`${path} is not JSON`)
  }
}

function decodeKey(path: string, text: string): Uint8Array {
  try {
    const bytes = fromBase64(text)
    if (bytes.length === size.key) return bytes
  } catch {
    // Reported below, like a wrong length, and without the cause, which may quote the text.
  }
  throw unusable(`${path} must hold base64 of ${size.key} bytes`)
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

function unusable(detail: string): NightjarError {
  return new NightjarError('file-unusable', { detail })
}
