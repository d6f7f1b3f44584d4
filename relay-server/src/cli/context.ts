/** What the commands are handed; `systemOutside` is the real world's part of it. */
import { lookup } from 'node:dns/promises'
import type { Crypto } from '@nightjar/shared/crypto'
import type { Clock } from '@nightjar/shared/runtime'
import type { Dial } from '@nightjar/shared-node/link'

export interface CliContext extends Outside {
  readonly crypto: Crypto
  readonly clock: Clock
  readonly dial: Dial
  /** Name and version, such as `nightjar-relay 0.1.0`; ends up in descriptors. At most 64 characters. */
  readonly software: string
}

export interface Outside {
  /** Writes `text`, whole lines, to stdout. */
  print(text: string): void
  /** For commands that print their findings themselves: 1 where there were problems. */
  setExitCode(code: number): void
  /** All IP addresses of a host name. Rejects where it has none. */
  resolveName(host: string): Promise<readonly string[]>
}

export const systemOutside: Outside = {
  print: (text) => void process.stdout.write(text),
  setExitCode(code) {
    process.exitCode = code
  },
  resolveName: async (host) => (await lookup(host, { all: true })).map(({ address }) => address),
}
