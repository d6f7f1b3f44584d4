/** The browser's end of native messaging: starts a native program for one port, and speaks with it. */
import { spawn } from 'node:child_process'
import { encodeMessage, type Message, MessageReader } from '../../src/network/frames.ts'
import { type Daemon, programPath } from '../../src/network/index.ts'

export interface HostProcess {
  /** Bytes to its stdin. */
  write(bytes: Buffer): void
  /** The browser closes the port. */
  end(): void
  /** Its exit code, once it has ended. */
  readonly ended: Promise<number | null>
}

/** @param onMessage gets each message, as text */
export function startHost(
  command: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
  onMessage: (text: string) => void,
): HostProcess {
  const child = spawn(command, args, { env: { ...process.env, ...environment }, stdio: ['pipe', 'pipe', 'ignore'] })
  const reader = new MessageReader()
  child.stdout.on('data', (bytes: Buffer) => {
    for (const text of reader.push(bytes)) onMessage(text)
  })
  // It may end before it has read everything.
  child.stdin.on('error', () => child.stdin.destroy())
  return {
    write: (bytes) => void child.stdin.write(bytes),
    end: () => void child.stdin.end(),
    ended: new Promise((resolve) => child.once('exit', resolve)),
  }
}

/** A `nightjar host` whose extension is the test. */
export interface Port extends Omit<HostProcess, 'write'> {
  readonly events: readonly Message[]
  /** The answer to a request, be it an error. */
  ask(type: string, fields?: object): Promise<Message>
}

export function openPort(daemon: Daemon): Port {
  const events: Message[] = []
  const waiting = new Map<number, (answer: Message) => void>()
  let lastId = 0
  const args = [programPath('nightjar'), 'host', 'chrome-extension://aamjeflenjlfgoidebdgkogmcmjfphph/']
  const host = startHost(process.execPath, args, daemon.env, (text) => {
    const message = JSON.parse(text) as Message
    if (message.id === undefined) events.push(message)
    else waiting.get(message.id)?.(message)
  })
  return {
    ...host,
    events,
    ask(type, fields = {}) {
      lastId += 1
      const id = lastId
      return new Promise((resolve) => {
        waiting.set(id, resolve)
        host.write(encodeMessage({ id, type, ...fields }))
      })
    },
  }
}
