/** The command line's end of the local socket: one question, one answer. */
import { connect } from 'node:net'
import {
  type BridgeMessage,
  type BridgeResponse,
  encodeFrames,
  FrameDecoder,
  parseBridgeResponse,
} from '@nightjar/shared/bridge'
import { asNightjarError, NightjarError } from '@nightjar/shared/errors'

type WithoutId<T> = T extends { id: number } ? Omit<T, 'id'> : never

/** @throws NightjarError `daemon-not-running`, or `malformed-frame` where the daemon speaks otherwise */
export function askDaemon(path: string, question: WithoutId<BridgeMessage>): Promise<BridgeResponse> {
  return new Promise((resolve, reject) => {
    const socket = connect(path)
    const decoder = new FrameDecoder((message) => {
      socket.end()
      resolve(parseBridgeResponse(message))
    })
    socket.once('connect', () => {
      for (const frame of encodeFrames({ ...question, id: 1 })) socket.write(frame)
    })
    socket.on('data', (bytes: Buffer) => {
      try {
        decoder.push(bytes)
      } catch (error) {
        socket.destroy()
        reject(asNightjarError(error))
      }
    })
    socket.once('error', (cause) => reject(new NightjarError('daemon-not-running', { cause })))
    socket.once('close', () => reject(new NightjarError('daemon-not-running')))
  })
}
