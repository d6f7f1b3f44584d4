/** The other ends of links, for tests: tables that keep what comes, bare WebSockets, and certificates. */
import { execFileSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CircuitTable } from '@nightjar/shared/circuit'
import type { ErrorCode } from '@nightjar/shared/errors'
import { WebSocket, WebSocketServer } from 'ws'
import { spkiHash, subprotocol } from '../index.ts'

/** Lets a test wait for something to become true, checked each time `changed` is called. */
export class Watched {
  readonly #waiting = new Set<() => void>()

  changed(): void {
    for (const check of this.#waiting) check()
  }

  until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const check = () => {
        if (!condition()) return
        this.#waiting.delete(check)
        resolve()
      }
      this.#waiting.add(check)
      check()
    })
  }
}

/** Cells of this circuit are kept by a RecordingTable. */
export const keptCircuit = 7

export class RecordingTable extends Watched {
  readonly cells: Uint8Array[] = []
  readonly closed: ErrorCode[] = []
  /** Called for each cell, before it is kept. */
  onCell: (cell: Uint8Array) => void = () => {}
  readonly table = new CircuitTable({
    onCreate: () => {},
    onClosed: ({ code }) => {
      this.closed.push(code)
      this.changed()
    },
  })

  constructor() {
    super()
    this.table.add(keptCircuit, {
      onCell: (_, cell) => {
        this.onCell(cell)
        this.cells.push(Uint8Array.from(cell))
        // As a relay may, which must not hurt the cells behind it.
        cell.fill(0xdb)
        this.changed()
      },
      onLinkClosed() {},
    })
  }
}

/** A bare WebSocket and all that came on it. */
export class BareSocket extends Watched {
  readonly messages: Buffer[] = []
  closeCode: number | undefined
  readonly socket: WebSocket

  constructor(socket: WebSocket) {
    super()
    this.socket = socket
    socket.on('message', (data: Buffer) => {
      this.messages.push(data)
      this.changed()
    })
    socket.on('close', (code) => {
      this.closeCode = code
      this.changed()
    })
    // Some tests break the connection on purpose; `close` tells of it.
    socket.on('error', () => {})
  }

  get bytes(): number {
    return this.messages.reduce((sum, { length }) => sum + length, 0)
  }
}

export async function connectBare(url: string, protocols: string[] = [subprotocol]): Promise<BareSocket> {
  const bare = new BareSocket(new WebSocket(url, protocols, { perMessageDeflate: false }))
  await new Promise<void>((resolve, reject) => {
    bare.socket.once('open', resolve)
    bare.socket.once('error', reject)
  })
  return bare
}

/** The HTTP status that an upgrade is refused with. */
export function refusal(url: string, protocols: string[] = [subprotocol]): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, protocols)
    socket.once('unexpected-response', (_, response) => {
      resolve(response.statusCode)
      socket.terminate()
    })
    socket.once('open', () => reject(new Error('was not refused')))
    socket.on('error', () => {})
  })
}

/** A WebSocket server of the test's own that takes one connection. */
export async function serveBare(): Promise<{
  url: string
  connection: Promise<BareSocket>
  close(): Promise<void>
}> {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false })
  await new Promise((resolve) => server.once('listening', resolve))
  const connection = new Promise<BareSocket>((resolve) => {
    server.once('connection', (socket) => resolve(new BareSocket(socket)))
  })
  return {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}/relay`,
    connection,
    close() {
      for (const socket of server.clients) socket.terminate()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}

export interface Certificate {
  /** PEM. */
  readonly cert: string
  readonly key: string
  /** SHA-256 of the SubjectPublicKeyInfo. */
  readonly pin: Uint8Array
}

/** Certificates made with the openssl command: a private CA, what it signed, and one that signed itself. */
export interface Certificates {
  readonly ca: string
  /** For 127.0.0.1 and localhost, by the CA. */
  readonly signed: Certificate
  /** By the CA, for another host. */
  readonly elsewhere: Certificate
  readonly selfSigned: Certificate
}

export function makeCertificates(): Certificates {
  const folder = mkdtempSync(join(tmpdir(), 'nightjar-tls-'))
  const at = (name: string) => join(folder, name)
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' })
  const read = (name: string): Certificate => {
    const cert = readFileSync(at(`${name}.pem`), 'utf8')
    return { cert, key: readFileSync(at(`${name}.key`), 'utf8'), pin: spkiHash(new X509Certificate(cert)) }
  }

  function selfSign(name: string, algorithm: string[], extensions: string[]): void {
    const extra = extensions.flatMap((extension) => ['-addext', extension])
    const files = ['-keyout', `${name}.key`, '-out', `${name}.pem`]
    openssl('req', '-x509', '-newkey', ...algorithm, '-nodes', '-days', '2', '-subj', `/CN=${name}`, ...files, ...extra)
  }

  function sign(name: string, names: string): void {
    const p256 = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256']
    openssl('req', ...p256, '-nodes', '-subj', `/CN=${name}`, '-keyout', `${name}.key`, '-out', `${name}.csr`)
    writeFileSync(at(`${name}.ext`), `subjectAltName=${names}\n`)
    const ca = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial']
    openssl('x509', '-req', '-in', `${name}.csr`, ...ca, '-days', '2', '-extfile', `${name}.ext`, '-out', `${name}.pem`)
  }

  try {
    selfSign('ca', ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'], ['basicConstraints=critical,CA:TRUE'])
    sign('signed', 'IP:127.0.0.1,DNS:localhost')
    sign('elsewhere', 'DNS:elsewhere.example')
    selfSign('self', ['ed25519'], ['subjectAltName=IP:127.0.0.1'])
    return {
      ca: readFileSync(at('ca.pem'), 'utf8'),
      signed: read('signed'),
      elsewhere: read('elsewhere'),
      selfSigned: read('self'),
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}
