/** Three directories and two relays, on one command line: what the directories sign, merge and verify. */
import { base64, fromBase64, fromUtf8 } from '@nightjar/shared/bytes'
import { nobleCrypto as crypto } from '@nightjar/shared/crypto/noble'
import { encodePayload, type PayloadInput, signPayload } from '@nightjar/shared/directory'
import { stringify } from 'yaml'
import { loadSigningKey } from '../../keys.ts'
import { createHarness } from './harness.ts'

export type Directories = Awaited<ReturnType<typeof createDirectories>>

/** The relay `one` is of alice, and `two`, a gateway, of bob; both are listed. */
export async function createDirectories() {
  const cli = await createHarness()
  /** Public keys of the directories a, b and c. */
  const keys: string[] = []
  for (const name of ['a', 'b', 'c']) keys.push((await cli.run('keygen', '--directory', `@${name}.key`)).out.trim())
  await cli.relay('one')
  await cli.relay('two', {
    public_address: 'wss://two.example.org/relay',
    region: 'us-east',
    roles: ['relay', 'gateway'],
    gateway: { chains: { 1: { upstreams: [{ url: 'http://127.0.0.1:1' }] } } },
  })
  cli.names['two.example.org'] = ['198.51.100.1', '2001:db8::1']

  const list = (...relays: readonly Record<string, unknown>[]) => cli.write('relays.yaml', stringify(relays))
  const sign = (key: string, out: string, ...more: string[]) =>
    cli.run('network', 'sign', '--relays', '@relays.yaml', '--key', `@${key}.key`, '--out', `@${out}`, ...more)
  const cosign = (key: string, file: string, out: string, ...more: string[]) =>
    cli.run('network', 'sign', '--payload', `@${file}`, '--key', `@${key}.key`, '--out', `@${out}`, ...more)
  const merge = (out: string, ...files: string[]) =>
    cli.run('network', 'merge', ...files.map((file) => `@${file}`), '--out', `@${out}`)
  const verify = (file: string, ...more: string[]) =>
    cli.run('network', 'verify', `@${file}`, '--trust', ...keys, '--threshold', '2', ...more)

  async function payloadOf(file: string): Promise<PayloadInput> {
    const { payload } = (await cli.readJson(file)) as { payload: string }
    return JSON.parse(fromUtf8(fromBase64(payload))) as PayloadInput
  }

  /** Writes a document whose payload is that of `file`, changed, with right signatures of these directories. */
  async function forge(
    file: string,
    out: string,
    signers: readonly string[],
    change: Record<string, unknown>,
  ): Promise<void> {
    const bytes = encodePayload({ ...(await payloadOf(file)), ...change })
    const signatures = await Promise.all(
      signers.map(async (name) => signPayload(await loadSigningKey(crypto, cli.path(`${name}.key`)), bytes)),
    )
    await cli.write(out, JSON.stringify({ payload: base64(bytes), signatures }))
  }

  await list({ descriptor: 'one.json', operator: 'alice' }, { descriptor: 'two.json', operator: 'bob' })
  return Object.assign(cli, { keys, list, sign, cosign, merge, verify, payloadOf, forge })
}
