/** Ports that are free now on an address of loopback. */
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'

/** `count` different free ports of `host`. All are held until the last is found, so none is given twice. */
export async function freePorts(host: string, count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, host))
  await Promise.all(servers.map((server) => once(server, 'listening')))
  const ports = servers.map((server) => (server.address() as AddressInfo).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}

/** Waits until `holds` is true, looking often. @throws Error naming `what` after `timeout` milliseconds */
export async function until(what: string, holds: () => boolean | Promise<boolean>, timeout = 30_000): Promise<void> {
  const deadline = Date.now() + timeout
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`still not: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
}
