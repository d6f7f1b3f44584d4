import { chmod, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { readSecret, readText, writeAtomically, writeSecret } from './index.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nightjar-files-'))
})
afterEach(() => rm(folder, { recursive: true }))

const modeOf = async (path: string) => (await stat(path)).mode & 0o777

describe('secrets', () => {
  test('what is written has mode 0600 and is read back, trimmed', async () => {
    const path = join(folder, 'identity.key')
    await writeSecret(path, 'secret\n')
    expect(await modeOf(path)).toBe(0o600)
    const secret = await readSecret(path)
    expect(secret.reveal()).toBe('secret')
    expect(`${secret}`).toBe('[scrubbed]')
  })

  test.each([0o640, 0o604, 0o610, 0o660, 0o644, 0o777])('mode %o is refused with its remedy', async (mode) => {
    const path = join(folder, "it's secret.key")
    await writeFile(path, 'secret')
    await chmod(path, mode)
    const bits = `0${mode.toString(8)}`
    await expect(readSecret(path)).rejects.toMatchObject({
      code: 'file-unusable',
      detail: `${path} holds a secret but has mode ${bits}; run: chmod 600 '${path.replace("'", "'\\''")}'`,
    })
  })

  test.each([0o600, 0o400])('mode %o is accepted', async (mode) => {
    const path = join(folder, 'a.key')
    await writeFile(path, 'secret')
    await chmod(path, mode)
    expect((await readSecret(path)).reveal()).toBe('secret')
  })

  test('the mode that counts is that of the file behind a link', async () => {
    await writeFile(join(folder, 'target'), 'secret', { mode: 0o644 })
    await symlink(join(folder, 'target'), join(folder, 'link'))
    await expect(readSecret(join(folder, 'link'))).rejects.toMatchObject({ code: 'file-unusable' })
  })

  test('an existing file is kept unless overwriting is asked for', async () => {
    const path = join(folder, 'a.key')
    await writeSecret(path, 'first')
    await expect(writeSecret(path, 'second')).rejects.toMatchObject({
      code: 'file-unusable',
      detail: `${path} exists already and is not overwritten`,
    })
    expect((await readSecret(path)).reveal()).toBe('first')
    await writeSecret(path, 'third', { overwrite: true })
    expect((await readSecret(path)).reveal()).toBe('third')
    expect(await readdir(folder)).toEqual(['a.key'])
  })

  test('a secret beyond the bound is refused', async () => {
    const path = join(folder, 'a.key')
    await writeSecret(path, 'x'.repeat(64 * 1024 + 1))
    await expect(readSecret(path)).rejects.toMatchObject({ detail: `${path} is larger than 65536 bytes` })
  })
})

describe('writeAtomically', () => {
  test('replaces content and mode, whatever the umask, and leaves nothing else behind', async () => {
    const path = join(folder, 'network.json')
    await writeFile(path, 'old', { mode: 0o600 })
    const umask = process.umask(0o077)
    try {
      await writeAtomically(path, 'new', 0o644)
    } finally {
      process.umask(umask)
    }
    expect(await readFile(path, 'utf8')).toBe('new')
    expect(await modeOf(path)).toBe(0o644)
    expect(await readdir(folder)).toEqual(['network.json'])
  })

  test('a failed write keeps the old file and removes its temporary one', async () => {
    // Renaming a file over a folder fails after the temporary file was written.
    await expect(writeAtomically(folder, 'new', 0o644)).rejects.toMatchObject({ code: 'file-unusable' })
    expect(await readdir(folder)).toEqual([])
    expect((await readdir(tmpdir())).filter((name) => name.startsWith(`.${basename(folder)}.`))).toEqual([])
  })

  test('a missing folder is named', async () => {
    const path = join(folder, 'no', 'such', 'file')
    await expect(writeAtomically(path, 'x', 0o644)).rejects.toMatchObject({
      code: 'file-unusable',
      detail: `${path} does not exist, or its folder does not`,
    })
  })
})

test('readText is bounded to the byte', async () => {
  const path = join(folder, 'a.txt')
  await writeFile(path, 'äb')
  expect(await readText(path, 3)).toBe('äb')
  await expect(readText(path, 2)).rejects.toMatchObject({ detail: `${path} is larger than 2 bytes` })
})
