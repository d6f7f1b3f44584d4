/** A connection to whoever listens on the daemon's local socket. */
import { connect, type Socket } from 'node:net'

/** undefined where nobody does. The caller listens for errors from then on. */
export function connectTo(path: string): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const refused = () => resolve(undefined)
    const socket = connect(path, () => {
      socket.off('error', refused)
      resolve(socket)
    })
    socket.once('error', refused)
  })
}
