/** The host behind the exit for `exit`: a plain TCP server that sends as many bytes as it is asked for, in a line. */
import { type AddressInfo, createServer } from 'node:net'
import { writePattern } from '@nightjar/e2e/network'

/** Serves until the process ends; prints a ready line with the port. */
export function serveBulk(): void {
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => socket.destroy())
    let question = ''
    socket.on('data', (bytes: Buffer) => {
      question += bytes.toString('latin1')
      if (question.endsWith('\n')) void writePattern(socket, Number(question)).then(() => socket.end())
    })
  })
  server.listen(0, '127.0.0.1', () => {
    process.stdout.write(`${JSON.stringify({ ready: true, port: (server.address() as AddressInfo).port })}\n`)
  })
}
