/** A name that points to the attacker first and to the victim later, as in DNS rebinding. */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

export interface ReboundName {
  /** Where the name has to point for the browser. */
  readonly port: number
  /** From now on the name is the victim's. */
  rebind(): void
  close(): Promise<void>
}

const host = '127.0.0.1'

export async function serveRebound(attackerPort: number, victimPort: number): Promise<ReboundName> {
  const sockets = new Set<Socket>()
  let target = attackerPort
  const server = createServer((socket) => {
    const onward = connect(target, host)
    for (const [from, to] of [
      [socket, onward],
      [onward, socket],
    ] as const) {
      sockets.add(from)
      from.pipe(to)
      from.on('error', () => from.destroy())
      from.on('close', () => {
        sockets.delete(from)
        to.destroy()
      })
    }
  })
  await new Promise<void>((resolve) => server.listen(0, host, resolve))
  const dropAll = () => {
    for (const socket of sockets) socket.destroy()
  }
  return {
    port: (server.address() as AddressInfo).port,
    rebind() {
      target = victimPort
      dropAll()
    },
    close() {
      dropAll()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}
