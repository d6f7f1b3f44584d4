/** Reads what was recorded between browser and native program: native-messaging frames, parts put together. */
import { MessageReader } from '../../src/network/frames.ts'

export interface BridgeTexts {
  /** All messages as they stand on the wire. */
  readonly messages: string
  /** The byte strings in them, decoded. */
  readonly records: readonly Buffer[]
}

export function bridgeTexts(recorded: Buffer): BridgeTexts {
  const messages = new MessageReader().push(recorded)
  return {
    messages: messages.join('\n'),
    records: messages.flatMap((message) =>
      [...message.matchAll(/"(?:record|hello|reply)":"([A-Za-z0-9+/=]+)"/g)].map(([, text]) =>
        Buffer.from(text as string, 'base64'),
      ),
    ),
  }
}
