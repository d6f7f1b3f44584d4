import type { Writable } from 'node:stream'

/** `ws` exports its frame parser, which its types leave out. */
declare module 'ws' {
  export class Receiver extends Writable {
    constructor(options: { isServer: boolean; binaryType: 'nodebuffer' })
    on(event: 'message', listener: (data: Buffer, isBinary: boolean) => void): this
    on(event: 'error', listener: (error: Error) => void): this
  }
}
