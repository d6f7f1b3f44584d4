import { readdir, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { fileError } from '@nightjar/shared-node/config'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { loadRelayConfig } from '../config.ts'
import { checkFolders, checkOpenFiles } from './machine.ts'
import { DoctorStage, tls } from './testing/doctor.ts'
import { relayConfig } from './testing/harness.ts'

let stage: DoctorStage
beforeEach(async () => {
  stage = await DoctorStage.set()
})
afterEach(() => stage.remove())

test('finds nothing wrong where nothing is', async () => {
  await stage.healthy()
  const { all, problems } = await stage.examine()
  expect(problems).toEqual([])
  for (const subject of ['listen.port 127.1.0.1:0', 'admin.health_port 127.0.0.1:0', 'admin.metrics_port 127.0.0.1:0'])
    expect(all).toContainEqual({ subject, status: 'ok', finding: 'free' })
  expect(all).toContainEqual(expect.objectContaining({ subject: stage.cli.path('one'), status: 'ok' }))
  expect(all).toContainEqual(expect.objectContaining({ subject: 'open files', status: 'ok' }))
  expect(all).toContainEqual(
    expect.objectContaining({ status: 'note', finding: expect.stringContaining('does not run now') }),
  )
})

test('says what check-config says too, and stops there where the configuration cannot be read', async () => {
  await stage.cli.write('one.yaml', 'server_name: one\nregoin: eu\n')
  const { problems } = await stage.examine()
  expect(problems).toContainEqual(expect.objectContaining({ finding: 'unknown key "regoin"' }))
  expect(problems.every(({ code }) => code === 'config-invalid')).toBe(true)
})

test('in words, with what to do', async () => {
  await stage.healthy({ listen: { host: '127.1.0.1', port: 9545 } })
  await rm(stage.cli.path('one/identity.key'))
  const { out, exitCode } = await stage.cli.run('doctor', '--config', '@one.yaml')
  expect(exitCode).toBe(1)
  expect(out).toMatch(/PROBLEM {2}keys: .*\n {9}→ .*keygen/)
  expect(out).toMatch(/problems: 1\n$/)
})

test('names that have no address', async () => {
  const change = { listen: { host: '127.0.0.1', port: 0, tls }, public_address: 'wss://relay.example.org/relay' }
  stage.cli.names['relay.example.org'] = ['192.0.2.7']
  await stage.healthy(change)
  expect((await stage.examine()).all).toContainEqual({
    subject: 'public_address',
    status: 'ok',
    finding: 'its name has an address',
  })
  delete stage.cli.names['relay.example.org']
  expect((await stage.examine()).problems).toContainEqual(
    expect.objectContaining({ subject: 'public_address', code: 'name-not-found' }),
  )
})

test('a folder on a disk that is full', async () => {
  await stage.healthy()
  const config = await loadRelayConfig(stage.cli.path('one.yaml'))
  const written: string[] = []
  const full = async (file: string) => {
    written.push(dirname(file))
    throw fileError(file, Object.assign(new Error(), { code: 'ENOSPC' }))
  }
  expect(await checkFolders(config, full)).toMatchObject([
    {
      status: 'problem',
      finding: expect.stringContaining('no space is left'),
      remedy: expect.stringMatching(/^Make room/),
    },
  ])
  expect(written).toEqual([stage.cli.path('one')])
  // Where there is room nothing stays behind.
  const before = await readdir(stage.cli.path('one'))
  expect(await checkFolders(config)).toMatchObject([{ status: 'ok' }])
  expect(await readdir(stage.cli.path('one'))).toEqual(before)
})

test('a folder in which nothing can be written', async () => {
  await stage.healthy({ descriptor: { file: 'nowhere/one.json' } })
  expect((await stage.examine()).problems).toMatchObject([
    { subject: stage.cli.path('nowhere'), code: 'file-unusable' },
  ])
})

test('fewer open files than the limits take', async () => {
  const line = (soft: string) =>
    `Limit  Soft Limit  Hard Limit  Units\nMax open files            ${soft}    1048576    files\n`
  await stage.cli.write('one.yaml', stringify({ ...relayConfig('one'), limits: { max_connections: 1000 } }))
  const config = await loadRelayConfig(stage.cli.path('one.yaml'))
  const found = async (text: string) => (await checkOpenFiles(config, await stage.cli.write('limits', text)))[0]
  expect(await found(line('1024'))).toMatchObject({
    status: 'problem',
    remedy: expect.stringContaining('LimitNOFILE=1256'),
  })
  expect(await found(line('1256'))).toMatchObject({ status: 'ok' })
  expect(await found(line('unlimited'))).toMatchObject({ status: 'ok' })
  expect(await found('nothing of the kind')).toMatchObject({ status: 'note' })
  expect(
    (await checkOpenFiles({ ...config, workers: 4 }, await stage.cli.write('limits', line('1024'))))[0]?.status,
  ).toBe('ok')
})
