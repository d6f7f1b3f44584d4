/** Bytes that anybody can make and check: where some are lost, doubled or swapped on their way, their hash tells. */
import { createCipheriv, createHash } from 'node:crypto'
import type { Writable } from 'node:stream'

/** A prime, so that no cell, record or buffer size divides it; nothing shorter repeats. */
const period = 1_048_573
const noise = createCipheriv('aes-128-ctr', Buffer.alloc(16, 'nightjar'), Buffer.alloc(16)).update(Buffer.alloc(period))

/** The pattern's first `length` bytes, in pieces. */
export function* pattern(length: number): Generator<Buffer> {
  for (let left = length; left > 0; left -= period) yield left < period ? noise.subarray(0, left) : noise
}

/** Writes the pattern's first `length` bytes as fast as `target` takes them; not its end. Stops where `target` is gone. */
export async function writePattern(target: Writable, length: number): Promise<void> {
  for (const piece of pattern(length)) {
    if (target.destroyed) return
    if (!target.write(piece)) await drained(target)
  }
}

/** SHA-256 of the pattern's first `length` bytes, in hexadecimal. */
export function patternHash(length: number): string {
  const hash = createHash('sha256')
  for (const piece of pattern(length)) hash.update(piece)
  return hash.digest('hex')
}

function drained(target: Writable): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      target.off('drain', done)
      target.off('close', done)
      resolve()
    }
    target.on('drain', done)
    target.on('close', done)
  })
}
