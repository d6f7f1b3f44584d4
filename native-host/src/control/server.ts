/** The daemon's end of the local socket (mode 0600; a named pipe on Windows): a session for each connection. */
import { randomBytes } from 'node:crypto'
import { chmod, link, rename, rm } from 'node:fs/promises'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { dirname, join } from 'node:path'
import {
  type BridgeEventMessage,
  type BridgeRequest,
  encodeFrames,
  FrameDecoder,
  parseBridgeRequest,
} from '@nightjar/shared/bridge'
import { asNightjarError, NightjarError } from '@nightjar/shared/errors'
import { limits } from '@nightjar/shared/limits'
import { type Outcome, toRpcError } from '@nightjar/shared/rpc'

export interface ControlServer {
  close(): Promise<void>
}

/** One connection: a command line that asks once, or an extension that stays. */
export interface Session {
  /** The result to send back; undefined where an event has said it already. What it throws becomes the error. */
  handle(request: BridgeRequest): Promise<Outcome | undefined>
  close(): void
}

/** @throws NightjarError `already-running` where another daemon answers on `path` */
export async function listenControl(
  path: string,
  open: (send: (event: BridgeEventMessage) => void) => Session,
  unsentBytes: number = limits.localUnsentBytes,
): Promise<ControlServer> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    serve(socket, open, unsentBytes)
  })
  // Of two daemons that start at the same moment one binds: the path is taken away from dead ones only.
  while (!(await bind(server, path))) {
    if (await answers(path)) throw new NightjarError('already-running')
    await removeDead(path)
  }
  if (process.platform !== 'win32') await chmod(path, 0o600)
  return {
    close() {
      for (const socket of sockets) socket.destroy()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}

function serve(
  socket: Socket,
  open: (send: (event: BridgeEventMessage) => void) => Session,
  unsentBytes: number,
): void {
  const send = (message: unknown) => {
    if (socket.destroyed) return
    for (const frame of encodeFrames(message)) socket.write(frame)
    // Nobody reads any more: what waits for it must not fill the memory.
    if (socket.writableLength > unsentBytes) socket.destroy()
  }
  const session = open(send)
  const decoder = new FrameDecoder((message) => {
    const request = parseBridgeRequest(message)
    const { id } = request
    session.handle(request).then(
      (outcome) => {
        if (outcome !== undefined) send({ id, ...outcome })
      },
      (error: unknown) => send({ id, error: toRpcError(asNightjarError(error)) }),
    )
  })
  // A caller that goes away is no concern of the daemon.
  socket.on('error', () => socket.destroy())
  socket.on('close', () => session.close())
  socket.on('data', (bytes: Buffer) => {
    try {
      decoder.push(bytes)
    } catch {
      // Whoever sends garbage is no caller of ours; nothing it could be told would be understood.
      socket.destroy()
    }
  })
}

/** @returns false where the path is taken */
function bind(server: Server, path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const failed = (cause: NodeJS.ErrnoException) => {
      if (cause.code === 'EADDRINUSE') resolve(false)
      else reject(new NightjarError('file-unusable', { detail: 'local socket', cause }))
    }
    server.once('error', failed)
    server.listen(path, () => {
      server.off('error', failed)
      resolve(true)
    })
  })
}

/** Takes the file of a dead daemon away. One that a new daemon has put there meanwhile goes back. */
async function removeDead(path: string): Promise<void> {
  // No longer than the path itself, which may be as long as the system allows.
  const aside = join(dirname(path), randomBytes(6).toString('hex'))
  try {
    await rename(path, aside)
  } catch (cause) {
    // Somebody else took it away already.
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return
    throw new NightjarError('file-unusable', { detail: 'local socket', cause })
  }
  try {
    if (await answers(aside)) await link(aside, path)
  } finally {
    await rm(aside, { force: true })
  }
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
