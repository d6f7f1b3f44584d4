/** Reads what was recorded between browser and native program: native-messaging frames, parts put together. */

export interface BridgeTexts {
  /** All messages as they stand on the wire. */
  readonly messages: string
  /** The byte strings in them, decoded. */
  readonly records: readonly Buffer[]
}

interface Message {
  readonly part?: number
  readonly of?: number
  readonly bytes?: string
  readonly [field: string]: unknown
}

export function bridgeTexts(recorded: Buffer): BridgeTexts {
  const messages = joinParts([...frames(recorded)])
  return {
    messages: messages.join('\n'),
    records: messages.flatMap((message) =>
      [...message.matchAll(/"(?:record|hello|reply)":"([A-Za-z0-9+/=]+)"/g)].map(([, text]) =>
        Buffer.from(text as string, 'base64'),
      ),
    ),
  }
}

function* frames(bytes: Buffer): Generator<string> {
  let offset = 0
  while (offset + 4 <= bytes.length) {
    const length = bytes.readUInt32LE(offset)
    yield bytes.toString('utf8', offset + 4, offset + 4 + length)
    offset += 4 + length
  }
}

function joinParts(texts: readonly string[]): string[] {
  const whole: string[] = []
  let parts: Buffer[] = []
  for (const text of texts) {
    const message = JSON.parse(text) as Message
    if (message.part === undefined) {
      whole.push(text)
      continue
    }
    parts.push(Buffer.from(message.bytes as string, 'base64'))
    if (message.part < (message.of ?? 0)) continue
    whole.push(Buffer.concat(parts).toString('utf8'))
    parts = []
  }
  return whole
}
