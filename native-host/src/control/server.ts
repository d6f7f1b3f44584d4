/** The daemon's end of the local socket (mode 0600; a named pipe on Windows). */
import { chmod, rm } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { encodeFrames, FrameDecoder } from '@nightjar/shared/bridge'
import { asNightjarError, NightjarError } from '@nightjar/shared/errors'
import { toRpcError } from '@nightjar/shared/rpc'
import { type ControlRequest, type ControlResponse, parseControlRequest } from './messages.ts'

export interface ControlServer {
  close(): Promise<void>
}

/** The result to send back. What it throws becomes the error of the response. */
export type ControlHandler = (request: ControlRequest) => Promise<ControlResponse>

/** @throws NightjarError `already-running` where another daemon answers on `path` */
export async function listenControl(path: string, handle: ControlHandler): Promise<ControlServer> {
  if (await answers(path)) throw new NightjarError('already-running')
  if (process.platform !== 'win32') await rm(path, { force: true })
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    serve(socket, handle)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => reject(new NightjarError('file-unusable', { detail: 'local socket', cause })))
    server.listen(path, resolve)
  })
  if (process.platform !== 'win32') await chmod(path, 0o600)
  return {
    close() {
      for (const socket of sockets) socket.destroy()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}

function serve(socket: Socket, handle: ControlHandler): void {
  const reply = (response: ControlResponse) => {
    for (const frame of encodeFrames(response)) socket.write(frame)
  }
  const decoder = new FrameDecoder((message) => {
    const request = parseControlRequest(message)
    handle(request).then(reply, (error: unknown) => {
      reply({ id: request.id, error: toRpcError(asNightjarError(error)) })
    })
  })
  // A caller that goes away is no concern of the daemon.
  socket.on('error', () => socket.destroy())
  socket.on('data', (bytes: Buffer) => {
    try {
      decoder.push(bytes)
    } catch {
      // Whoever sends garbage is no caller of ours; nothing it could be told would be understood.
      socket.destroy()
    }
  })
}

/** Whether somebody listens on `path`; a socket file that a killed daemon left behind is nobody. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
