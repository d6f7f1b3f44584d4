/**
 * A client that asks an exit by itself, past the daemon and its list: one hop, straight to the exit. Written anew after
 * docs/protocol.md, so it also says whether that page tells the truth.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createPublicKey,
  decapsulate,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
} from 'node:crypto'
import { cellCommand, cellSize, type LocalRelay } from '../../src/network/index.ts'
import { onionKeyOf } from './documents.ts'
import { cell, openLink } from './hostile.ts'

/** CONNECTED, or the number in END (shared/src/errors/codes.ts). */
export type Outcome = 'connected' | number

export interface ExitClient {
  /** Opens a stream of the service `tcp` to `target`. */
  begin(target: string): Promise<Outcome>
  close(): void
}

const message = { begin: 5, connected: 6, credit: 8, end: 9 } as const
const layer = { tag: 16, branchAndDelay: 3 } as const
const bodySize = cellSize - 5
const branchWindow = 512
const circuit = 1

export async function openExitClient(exit: LocalRelay, documentFile: string): Promise<ExitClient> {
  const { socket } = await openLink(exit)
  const { hello, finish } = startHandshake(await onionKeyOf(documentFile, exit.name))
  const created = new Promise<Buffer>((resolve) => {
    const parts: Buffer[] = []
    socket.on('message', (data: Buffer) => {
      for (const each of cellsOf(data)) if (each[4] === cellCommand.created) parts.push(each.subarray(7))
      if (parts.length === 2) resolve(Buffer.concat(parts).subarray(0, replySize))
    })
  })
  const firstPart = hello.subarray(0, bodySize - 2)
  const secondPart = hello.subarray(bodySize - 2)
  const total = Buffer.from([hello.length >> 8, hello.length & 0xff])
  for (const part of [firstPart, secondPart])
    socket.send(cell(circuit, cellCommand.create, Buffer.concat([total, part])))
  const keys = finish(await created)

  let [sealed, opened, lastStream, credit] = [0, 0, 0, branchWindow]
  const waiting: Buffer[] = []
  const outcomes = new Map<number, (outcome: Outcome) => void>()

  socket.on('message', (data: Buffer) => {
    for (const each of cellsOf(data)) {
      if (each[4] === cellCommand.relay) receive(open(keys.backward, opened++, each.subarray(5)))
      if (each[4] === cellCommand.destroy) for (const resolve of outcomes.values()) resolve(each[5] as number)
    }
  })

  function receive(inner: Buffer): void {
    const [type, stream, length] = [inner[0], inner.readUInt16BE(1), inner.readUInt16BE(3)]
    const data = inner.subarray(5, 5 + length)
    if (type === message.credit && stream === 0) credit += data.readUInt16BE()
    if (type === message.connected) outcomes.get(stream)?.('connected')
    if (type === message.end) outcomes.get(stream)?.(data[0] as number)
    send()
  }

  function send(): void {
    for (; credit > 0 && waiting.length > 0; credit -= 1) {
      const body = seal(keys.forward, sealed++, waiting.shift() as Buffer)
      socket.send(cell(circuit, cellCommand.relay, body))
    }
  }

  return {
    begin(target) {
      const stream = ++lastStream
      waiting.push(encodeBegin(stream, target))
      const outcome = new Promise<Outcome>((resolve) => outcomes.set(stream, resolve))
      send()
      return outcome
    },
    close: () => socket.terminate(),
  }
}

const replySize = 1188

function startHandshake(exit: { identity: Buffer; id: Buffer; key: Buffer }) {
  const dh = generateKeyPairSync('x25519')
  const kem = generateKeyPairSync('ml-kem-768')
  const [x, ek] = [raw(dh.publicKey, 32), raw(kem.publicKey, 1184)]
  // Version 1, purpose 1 (hop), depth 1.
  const hello = Buffer.concat([Buffer.of(1, 1, 1), exit.id, x, ek])
  return {
    hello,
    finish(reply: Buffer) {
      const [y, ciphertext, rest] = [reply.subarray(0, 32), reply.subarray(32, 1120), reply.subarray(1120)]
      const agree = (key: Buffer) => diffieHellman({ privateKey: dh.privateKey, publicKey: x25519(key) })
      const document = rest.subarray(0, 36)
      const transcript = createHash('sha256')
      for (const part of [hello, exit.identity, exit.key, y, ciphertext, document]) transcript.update(part)
      const secret = Buffer.concat([
        ...[agree(y), agree(exit.key), decapsulate(kem.privateKey, ciphertext)],
        transcript.digest(),
      ])
      const derive = (label: string) =>
        Buffer.from(hkdfSync('sha256', secret, 'nightjar-1 hybrid-ntor', `nightjar-1 \x01${label}`, 32))
      return { forward: derive('forward'), backward: derive('backward') }
    },
  }
}

/** The raw key at the end of its DER. */
function raw(key: KeyObject, length: number): Buffer {
  return key.export({ format: 'der', type: 'spki' }).subarray(-length)
}

function x25519(key: Buffer): KeyObject {
  const der = Buffer.concat([Buffer.from('302a300506032b656e032100', 'hex'), key])
  return createPublicKey({ key: der, format: 'der', type: 'spki' })
}

function encodeBegin(stream: number, target: string): Buffer {
  const [service, argument] = [Buffer.from('tcp'), Buffer.from(target)]
  const head = Buffer.from([message.begin, 0, 0, 0, 0, 0, service.length])
  head.writeUInt16BE(stream, 1)
  head.writeUInt16BE(2 + service.length + 2 + argument.length, 3)
  return Buffer.concat([head, service, Buffer.of(argument.length >> 8, argument.length & 0xff), argument])
}

/** tag ‖ ct of branch 0, delay 0, and the message. */
function seal(key: Buffer, counter: number, inner: Buffer): Buffer {
  const plain = Buffer.alloc(bodySize - layer.tag)
  inner.copy(plain, layer.branchAndDelay)
  const cipher = createCipheriv('chacha20-poly1305', key, nonce(counter), { authTagLength: layer.tag })
  const ct = Buffer.concat([cipher.update(plain), cipher.final()])
  return Buffer.concat([cipher.getAuthTag(), ct])
}

function open(key: Buffer, counter: number, body: Buffer): Buffer {
  const cipher = createDecipheriv('chacha20-poly1305', key, nonce(counter), { authTagLength: layer.tag })
  cipher.setAuthTag(body.subarray(0, layer.tag))
  return Buffer.concat([cipher.update(body.subarray(layer.tag)), cipher.final()]).subarray(layer.branchAndDelay)
}

function nonce(counter: number): Buffer {
  const bytes = Buffer.alloc(12)
  bytes.writeBigUInt64BE(BigInt(counter), 4)
  return bytes
}

function* cellsOf(data: Buffer): Generator<Buffer> {
  for (let offset = 0; offset < data.length; offset += cellSize) yield data.subarray(offset, offset + cellSize)
}
