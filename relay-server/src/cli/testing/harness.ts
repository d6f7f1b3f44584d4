/** Runs the command line in a folder of its own, with a clock that stands still and names that resolve as told. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { nobleCrypto } from '@nightjar/shared/crypto/noble'
import { dialLink } from '@nightjar/shared-node/link'
import type { Command } from 'commander'
import { stringify } from 'yaml'
import { buildProgram } from '../program.ts'

export interface Result {
  readonly out: string
  /** What commander says of wrong usage. */
  readonly usage: string
  readonly exitCode: number
}

export interface Harness {
  now: number
  readonly folder: string
  readonly names: Record<string, readonly string[]>
  path(name: string): string
  read(name: string): Promise<string>
  readJson(name: string): Promise<Record<string, unknown>>
  write(name: string, content: string, mode?: number): Promise<string>
  /** Arguments that begin with `@` are paths in the folder. Rejects with what the command throws. */
  run(...args: string[]): Promise<Result>
  /** A relay's keys, configuration and descriptor `<name>.json`. */
  relay(name: string, change?: Record<string, unknown>): Promise<void>
  remove(): Promise<void>
}

export async function createHarness(): Promise<Harness> {
  const folder = await mkdtemp(join(tmpdir(), 'nightjar-cli-'))
  const path = (name: string) => join(folder, name)
  const harness: Harness = {
    now: Date.UTC(2026, 0, 15, 12),
    folder,
    names: {},
    path,
    read: (name) => readFile(path(name), 'utf8'),
    readJson: async (name) => JSON.parse(await readFile(path(name), 'utf8')) as Record<string, unknown>,
    async write(name, content, mode = 0o644) {
      await writeFile(path(name), content, { mode })
      return path(name)
    },
    async run(...args) {
      const result = { out: '', usage: '', exitCode: 0 }
      const program = buildProgram({
        crypto: nobleCrypto,
        clock: {
          now: () => harness.now,
          elapsed: () => 0,
          // A clock that stands still: no command waits for it.
          after: () => ({ cancel() {} }),
        },
        dial: dialLink,
        software: 'nightjar-relay test',
        print: (text) => {
          result.out += text
        },
        setExitCode: (code) => {
          result.exitCode = code
        },
        resolveName: async (host) => harness.names[host] ?? Promise.reject(new Error(`getaddrinfo ENOTFOUND ${host}`)),
      })
      capture(program, (text) => {
        result.usage += text
      })
      // As main.ts will have it: it must not take the options of subcommands away.
      program.option('--config <file>')
      try {
        await program.parseAsync(
          args.map((arg) => arg.replace(/^@/, `${folder}/`)),
          { from: 'user' },
        )
      } catch (error) {
        if (!(error instanceof Error) || error.name !== 'CommanderError') throw error
        result.exitCode = (error as Error & { exitCode: number }).exitCode
      }
      return result
    },
    async relay(name, change = {}) {
      await harness.run('keygen', `@${name}`)
      await harness.write(`${name}.yaml`, stringify({ ...relayConfig(name), ...change }))
      await harness.run('descriptor', '--config', `@${name}.yaml`, '--out', `@${name}.json`)
    },
    remove: () => rm(folder, { recursive: true }),
  }
  return harness
}

/** relay.yaml as an object: a relay on loopback whose keys are in the folder `name`. */
export function relayConfig(name: string): Record<string, unknown> {
  return {
    server_name: name,
    region: 'eu-west',
    roles: ['relay'],
    identity_file: `${name}/identity.key`,
    listen: { host: '127.1.0.1', port: 0 },
    public_address: 'ws://127.1.0.1:9545/relay',
    network: { document: 'network.json', trust: { keys: [Buffer.alloc(32, 1).toString('base64')], threshold: 1 } },
  }
}

/** Usage errors are thrown and noted, instead of ending the process. */
function capture(command: Command, note: (text: string) => void): void {
  command.exitOverride().configureOutput({ writeErr: note, writeOut: note })
  for (const child of command.commands) capture(child, note)
}
