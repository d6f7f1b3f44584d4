/**
 * The Internet as the exits of a local network see it: which names there are, and where they lead. The relay that tests
 * run (relay-server/src/main.testing.ts, where the file's form stands) reads it at every name and every connection.
 */
import { rename, writeFile } from 'node:fs/promises'

/** Where each name leads: to a port of 127.0.0.1. */
export type Places = Readonly<Record<string, number | Place>>

export interface Place {
  /** What the name is said to be; otherwise it has a public address of its own. */
  readonly addresses: readonly string[]
  /** Who takes a connection to any of them; without it nobody does. */
  readonly port?: number
}

export interface Internet {
  readonly env: Readonly<Record<string, string>>
  /** From now on there are these names and no others; exits remember the old answers for a second. */
  set(places: Places): Promise<void>
}

export async function createInternet(file: string, places: Places): Promise<Internet> {
  const set = async (now: Places) => {
    await writeFile(`${file}.new`, JSON.stringify(asFile(now)))
    // In one step: an exit may be reading.
    await rename(`${file}.new`, file)
  }
  await set(places)
  return { env: { NIGHTJAR_TESTING_INTERNET: file }, set }
}

function asFile(places: Places): unknown {
  const names: Record<string, readonly string[]> = {}
  const addresses: Record<string, string> = {}
  for (const [index, [name, place]] of Object.entries(places).entries()) {
    const own = [`8.8.${Math.floor(index / 250)}.${(index % 250) + 1}`]
    const { addresses: all, port } = typeof place === 'number' ? { addresses: own, port: place } : place
    names[name] = all
    if (port !== undefined) for (const address of all) addresses[address] = `127.0.0.1:${port}`
  }
  return { names, addresses }
}
