/**
 * A native program in the hands of the test: it stands between the browser and the real one, and each message passes
 * through functions of the test, which may change it, keep it, or say something else.
 *
 * What the browser starts only copies bytes to a socket of the test's process, so that a test can change its mind while
 * the browser runs.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Stage } from '../../src/browser/index.ts'
import { encodeMessage, type Message, MessageReader } from '../../src/network/frames.ts'
import { startHost } from './nativeHost.ts'
import { installedHost, replaceHost } from './stage.ts'

/** One port of the browser, and the real program that was started for it. */
export interface Link {
  readonly isOpen: boolean
  toBrowser(message: object): void
  toDaemon(message: object): void
  /** Bytes as they are, with or without a frame around them. */
  rawToBrowser(bytes: Buffer): Promise<void>
}

/** Told of each message of the extension; the default passes it on. */
export type FromExtension = (message: Message, link: Link) => void
/** Told of each message of the daemon, and where it answers something, of what it answers. */
export type FromDaemon = (message: Message, link: Link, request: Message | undefined) => void

export interface MiddleHost {
  fromExtension: FromExtension
  fromDaemon: FromDaemon
  /** What the extension has sent so far, on all ports. */
  readonly seen: readonly Message[]
  /** The label of the isolation group of each question so far. */
  readonly groups: readonly string[]
  /** The port that was opened last. */
  readonly link: Link
  /** Forgets all that was seen, and passes everything on from now on. */
  behave(): void
  /** Puts itself in the place of the program that is installed in the stage's current profile. */
  install(): Promise<void>
  close(): Promise<void>
}

const passUp: FromExtension = (message, link) => link.toDaemon(message)
const passDown: FromDaemon = (message, link) => link.toBrowser(message)

/** Gives the extension `change`d results of the requests of `type`. Whatever is undefined stays as it is. */
export function changing(type: string, change: (result: never, request: Message) => unknown): FromDaemon {
  return (message, link, request) => {
    if (request?.type !== type || message.result === undefined) return link.toBrowser(message)
    link.toBrowser({ ...message, result: change(message.result as never, request) ?? message.result })
  }
}

export async function startMiddleHost(stage: Stage): Promise<MiddleHost> {
  const folder = await mkdtemp(join(tmpdir(), 'nightjar-middle-'))
  const [command, script, path] = ['host', 'host.mjs', 'socket'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ]
  await writeFile(script, source(path))
  await writeFile(command, `#!/bin/sh\nexec '${process.execPath}' '${script}'\n`, { mode: 0o755 })
  const real = await installedHost(stage)
  const sockets = new Set<Socket>()
  const seen: Message[] = []
  const groups: string[] = []
  let link: Link | undefined

  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
    const asked = new Map<number, Message>()
    /** Labels by the branches that were opened for them. */
    const branches = new Map<unknown, string>()
    const daemon = startHost(real, [], {}, (text) => {
      const message = JSON.parse(text) as Message
      const request = message.id === undefined ? undefined : asked.get(message.id)
      const { branch } = (message.result ?? {}) as { branch?: number }
      if (request?.type === 'open') branches.set(branch, request.group as string)
      host.fromDaemon(message, own, request)
    })
    const own: Link = {
      get isOpen() {
        return !socket.destroyed
      },
      toBrowser: (message) => void (socket.writable && socket.write(encodeMessage(message))),
      toDaemon: (message) => daemon.write(encodeMessage(message)),
      rawToBrowser: (bytes) => new Promise((resolve) => void socket.write(bytes, () => resolve())),
    }
    link = own
    const reader = new MessageReader()
    socket.on('data', (bytes) => {
      for (const text of reader.push(bytes)) {
        const message = JSON.parse(text) as Message
        seen.push(message)
        if (message.id !== undefined) asked.set(message.id, message)
        if (message.record !== undefined) groups.push(branches.get(message.branch) ?? '')
        host.fromExtension(message, own)
      }
    })
    socket.on('close', () => {
      sockets.delete(socket)
      daemon.end()
    })
    void daemon.ended.then(() => socket.destroy())
  })
  await new Promise<void>((resolve) => server.listen(path, resolve))

  const host: MiddleHost = {
    fromExtension: passUp,
    fromDaemon: passDown,
    seen,
    groups,
    get link() {
      if (link === undefined) throw new Error('the browser has not started it')
      return link
    },
    behave() {
      seen.splice(0)
      groups.splice(0)
      host.fromExtension = passUp
      host.fromDaemon = passDown
    },
    async install() {
      await replaceHost(stage, command)
    },
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
      await rm(folder, { recursive: true })
    },
  }
  return host
}

/** Ends with either side. */
const source = (path: string) => `
  import { connect } from 'node:net'
  const socket = connect(${JSON.stringify(path)})
  const end = () => process.exit(0)
  socket.on('error', end)
  socket.on('close', end)
  process.stdin.pipe(socket).pipe(process.stdout)
  process.stdout.on('error', end)
`
