/** The real curl, as the program that users would point at the shield. */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { writePattern } from '../../src/network/index.ts'

export interface Fetched {
  /** curl's own exit code: 0 = all came; 5 and 97 = the proxy said no; 18 = cut short; 60 = certificate refused. */
  readonly code: number | null
  readonly text: string
  readonly bytes: number
  readonly sha256: string
  readonly stderr: string
}

export interface Fetching {
  /** Bytes that have come so far. */
  readonly bytes: number
  readonly done: Promise<Fetched>
}

export type Through = 'socks' | 'connect'

/** Bytes of the answer that are kept as text. */
const textLimit = 64 * 1024

export function startCurl(args: readonly string[], upload?: number): Fetching {
  const child = spawn('curl', ['--silent', '--show-error', ...args], {
    // A proxy in the environment of the test is none of ours.
    env: { PATH: process.env.PATH },
    stdio: [upload === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
  })
  const hash = createHash('sha256')
  let [bytes, text, stderr] = [0, '', '']
  child.stdout?.on('data', (part: Buffer) => {
    bytes += part.length
    hash.update(part)
    if (text.length < textLimit) text += part.toString('latin1')
  })
  child.stderr?.on('data', (part: Buffer) => {
    stderr += part.toString('utf8')
  })
  if (child.stdin !== null && upload !== undefined) {
    const { stdin } = child
    // curl says itself why it stopped reading.
    stdin.on('error', () => stdin.destroy())
    void writePattern(stdin, upload).then(() => stdin.end())
  }
  const done = new Promise<Fetched>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve({ code, text, bytes, sha256: hash.digest('hex'), stderr }))
  })
  return {
    get bytes() {
      return bytes
    },
    done,
  }
}

/** The arguments that send a request through the shield's port. */
export function through(port: number, door: Through): readonly string[] {
  return door === 'socks' ? ['--socks5-hostname', `127.0.0.1:${port}`] : ['--proxy', `http://127.0.0.1:${port}`]
}
