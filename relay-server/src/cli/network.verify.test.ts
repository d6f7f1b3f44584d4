import { fromBase64, fromUtf8 } from '@nightjar/shared/bytes'
import type { PayloadInput } from '@nightjar/shared/directory'
import { day, hour, minute } from '@nightjar/shared/runtime'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createDirectories, type Directories } from './testing/directories.ts'

let cli: Directories
beforeEach(async () => {
  cli = await createDirectories()
})
afterEach(() => cli.remove())

describe('verify', () => {
  beforeEach(async () => {
    await cli.sign('a', 'a.json')
    await cli.cosign('b', 'a.json', 'network.json')
  })

  async function report(file: string, ...more: string[]) {
    const { out, exitCode } = await cli.verify(file, '--json', ...more)
    return { exitCode, ...(JSON.parse(out) as Record<string, unknown>) }
  }

  test('prints version, validity and relays by role, operator and region', async () => {
    const { out, exitCode } = await cli.verify('network.json')
    expect(exitCode).toBe(0)
    for (const line of [
      'accepted',
      `version     ${Math.floor(cli.now / 1000)}`,
      'valid       2026-01-15T11:55:00.000Z to 2026-01-16T11:55:00.000Z',
      `            ${cli.keys[0]}  right, trusted`,
      '  role      relay: 2',
      '  role      gateway: 1',
      '  role      exit: 0',
      '  operator  alice: 1',
      '  region    us-east: 1',
      '  relay     one  alice  eu-west  relay  127.1.0.0/16',
    ]) {
      expect(out.split('\n')).toContain(line)
    }
  })

  test('--json says the same', async () => {
    expect(await report('network.json')).toMatchObject({
      exitCode: 0,
      ok: true,
      version: Math.floor(cli.now / 1000),
      validUntil: cli.now - 5 * minute + day,
      signatures: [
        { key: cli.keys[0], pinned: true, right: true },
        { key: cli.keys[1], pinned: true, right: true },
      ],
      relays: [
        { name: 'one', operator: 'alice', region: 'eu-west', roles: ['relay'], networks: ['127.1.0.0/16'] },
        { name: 'two', operator: 'bob' },
      ],
      rejected: [],
    })
  })

  test('under-signed: which signatures are wrong or not trusted', async () => {
    expect(await report('a.json')).toMatchObject({ exitCode: 1, ok: false, refusal: { code: 'document-under-signed' } })
    const file = await cli.readJson('network.json')
    const [right, other] = file.signatures as { key: string; signature: string }[]
    await cli.write(
      'twice.json',
      JSON.stringify({ ...file, signatures: [right, right, { ...other, signature: right?.signature }] }),
    )
    expect(await report('twice.json')).toMatchObject({
      exitCode: 1,
      refusal: { code: 'document-under-signed', message: expect.stringContaining('1 of 2 signatures') },
      signatures: [{ right: true }, { right: true }, { key: cli.keys[1], right: false }],
      relays: [],
    })
    const strangers = await cli.run(
      'network',
      'verify',
      '@network.json',
      '--trust',
      cli.keys[2] as string,
      '--threshold',
      '1',
    )
    expect(strangers.exitCode).toBe(1)
    expect(strangers.out).toContain('[document-under-signed]')
    expect(strangers.out).toContain('right, not trusted')
  })

  test('a key given twice does not count twice', async () => {
    const [key] = cli.keys as [string]
    expect(await cli.run('network', 'verify', '@a.json', '--trust', key, key, '--threshold', '2')).toMatchObject({
      exitCode: 1,
    })
    expect(await cli.run('network', 'verify', '@a.json', '--trust', key, '--threshold', '1')).toMatchObject({
      exitCode: 0,
    })
  })

  test.each<[string, number, string]>([
    ['expired', 2 * day, 'document-expired'],
    ['not yet valid', -hour, 'document-not-yet-valid'],
  ])('%s', async (_, shift, code) => {
    cli.now += shift
    expect(await report('network.json')).toMatchObject({ exitCode: 1, refusal: { code } })
  })

  test('rolled back behind the previous one', async () => {
    cli.now += hour
    await cli.sign('a', 'next.json', '--previous', '@network.json')
    expect(await report('network.json', '--previous', '@next.json')).toMatchObject({
      exitCode: 1,
      refusal: { code: 'document-rolled-back' },
    })
    expect(await report('network.json', '--previous', '@a.json')).toMatchObject({ exitCode: 0 })
  })

  test('tampered', async () => {
    const file = (await cli.readJson('network.json')) as { payload: string }
    const payload = fromUtf8(fromBase64(file.payload)).replace('"alice"', '"mallo"')
    await cli.write('bad.json', JSON.stringify({ ...file, payload: Buffer.from(payload).toString('base64') }))
    expect(await report('bad.json')).toMatchObject({ exitCode: 1, refusal: { code: 'document-under-signed' } })
  })

  test('unknown fields, and times that are none', async () => {
    await cli.forge('a.json', 'bad.json', ['a', 'b'], { novelty: 1 })
    expect(await report('bad.json')).toMatchObject({ exitCode: 1, refusal: { code: 'document-malformed' } })
    await cli.forge('a.json', 'bad.json', ['a', 'b'], { validUntil: Number.MAX_SAFE_INTEGER, validAfter: -1 })
    const { out, exitCode } = await cli.verify('bad.json')
    expect(exitCode).toBe(1)
    expect(out).toContain('to no time at all')
    await cli.write('bad.json', JSON.stringify({ ...(await cli.readJson('network.json')), novelty: 1 }))
    await expect(cli.verify('bad.json')).rejects.toMatchObject({ code: 'document-malformed' })
  })

  test('relays that clients leave out, each with its reason', async () => {
    const [good, other] = (await cli.payloadOf('a.json')).relays as [
      PayloadInput['relays'][number],
      PayloadInput['relays'][number],
    ]
    const forged = { ...good, descriptor: { ...good.descriptor, signature: other.descriptor.signature } }
    await cli.forge('a.json', 'bad.json', ['a', 'b'], { relays: [forged, good, good] })
    expect(await report('bad.json')).toMatchObject({
      exitCode: 0,
      relays: [{ name: 'one' }],
      rejected: [
        { index: 0, code: 'document-under-signed' },
        { index: 2, code: 'document-malformed', message: 'Its identity is listed twice.' },
      ],
    })
    expect((await cli.verify('bad.json')).out).toContain('REJECTED  relay at index 0: ')
  })

  test('wrong arguments are refused', async () => {
    const run = (...more: string[]) => cli.run('network', 'verify', '@network.json', ...more)
    expect((await run('--threshold', '1')).usage).toContain("'--trust <keys...>'")
    expect((await run('--trust', 'AAAA', '--threshold', '1')).usage).toContain('base64 of 32 bytes')
    expect((await run('--trust', ...cli.keys, '--threshold', '0')).usage).toContain('whole number')
  })
})
