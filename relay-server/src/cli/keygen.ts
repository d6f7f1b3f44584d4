/** `nightjar-relay keygen`: makes and renews the keys of a relay, or makes the key of a directory. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { base64 } from '@nightjar/shared/bytes'
import { day } from '@nightjar/shared/runtime'
import { fileError } from '@nightjar/shared-node/config'
import { Command } from 'commander'
import { loadRelayConfig } from '../config.ts'
import { createKeys, createSigningKey, type KeyFiles, renewKeys } from '../keys.ts'
import type { CliContext } from './context.ts'
import { wholeNumber } from './options.ts'

interface Options {
  readonly config?: string
  readonly renew?: true
  readonly validDays: number
  readonly directory?: string
}

export function keygenCommand(context: CliContext): Command {
  return new Command('keygen')
    .summary('make the keys of a relay or of a directory')
    .description(
      'Makes the identity key of a relay, and its onion and envelope keys for this period and the next. ' +
        'The files get mode 0600; existing ones are never overwritten.',
    )
    .argument('[folder]', 'where identity.key and onion.keys go', '.')
    .option('--config <file>', 'take the places of the files from this relay.yaml instead of a folder')
    .option('--renew', 'keep the identity; drop old onion and envelope keys and make those that are missing')
    .option('--valid-days <n>', 'days that each key is valid', wholeNumber(1, 3650), 7)
    .option('--directory <file>', 'make a directory key in this file instead, and print its public key')
    .addHelpText(
      'after',
      `
Examples:
  nightjar-relay keygen /etc/nightjar
  nightjar-relay keygen --renew --config /etc/nightjar/relay.yaml    weekly, then a new descriptor
  nightjar-relay keygen --directory directory.key`,
    )
    .action(async (folder: string, options: Options) => {
      if (options.directory !== undefined) return makeDirectoryKey(context, options.directory)
      const files = options.config === undefined ? await filesIn(folder) : await loadRelayConfig(options.config)
      const times = { now: context.clock.now(), validity: options.validDays * day }
      if (options.renew === true) {
        const made = await renewKeys(context.crypto, files, times)
        const next = made === 0 ? 'nothing to do' : 'send the directories a new descriptor'
        return context.print(`${files.onion_keys_file}: ${made} new keys; ${next}\n`)
      }
      const identity = await createKeys(context.crypto, files, times)
      context.print(
        `identity   ${base64(identity)}\n` +
          `files      ${files.identity_file}, ${files.onion_keys_file}\n` +
          'next       write relay.yaml, then: nightjar-relay check-config --config relay.yaml\n',
      )
    })
}

async function makeDirectoryKey(context: CliContext, file: string): Promise<void> {
  const publicKey = await createSigningKey(context.crypto, file)
  context.print(`${base64(publicKey)}\n`)
}

async function filesIn(folder: string): Promise<KeyFiles> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 })
  } catch (cause) {
    throw fileError(folder, cause)
  }
  return { identity_file: join(folder, 'identity.key'), onion_keys_file: join(folder, 'onion.keys') }
}
