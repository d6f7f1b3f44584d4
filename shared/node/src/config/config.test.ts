import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as v from 'valibot'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { inspectConfig, loadConfig, missingKeys, resolveBeside } from './index.ts'

const schema = v.strictObject({
  name: v.string(),
  gateway: v.optional(
    v.strictObject({
      chains: v.record(
        v.pipe(v.string(), v.regex(/^\d+$/, 'must be a decimal chain id')),
        v.strictObject({ upstreams: v.array(v.strictObject({ url: v.string(), weight: v.optional(v.number(), 1) })) }),
      ),
    }),
  ),
  listen: v.optional(
    v.strictObject({ port: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(65535)), 9545) }),
    {},
  ),
  level: v.optional(v.picklist(['info', 'debug']), 'info'),
  flag: v.optional(v.boolean()),
})

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nightjar-config-'))
})
afterAll(() => rm(folder, { recursive: true }))

async function fileWith(content: string | Uint8Array): Promise<string> {
  const file = join(folder, 'test.yaml')
  await writeFile(file, content)
  return file
}

/** The detail of the error, with the file's name shortened. */
async function refusal(content: string | Uint8Array): Promise<string | undefined> {
  const file = await fileWith(content)
  const error: unknown = await loadConfig(file, schema).then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  expect(error).toMatchObject({ name: 'NightjarError', code: 'config-invalid' })
  return (error as { detail?: string }).detail?.replaceAll(file, 'test.yaml')
}

describe('loadConfig', () => {
  test('fills in defaults and reads numeric record keys', async () => {
    const file = await fileWith('name: a\ngateway: { chains: { 1: { upstreams: [{ url: http://x }] } } }\n')
    expect(await loadConfig(file, schema)).toEqual({
      name: 'a',
      level: 'info',
      listen: { port: 9545 },
      gateway: { chains: { '1': { upstreams: [{ url: 'http://x', weight: 1 }] } } },
    })
  })

  test('an empty file is an empty mapping', async () => {
    expect(await loadConfig(await fileWith('# nothing\n'), v.strictObject({}))).toEqual({})
    expect(await refusal('')).toBe('test.yaml: name is missing')
  })

  test.each([
    ['name: a\n\ngatway: {}\n', 'test.yaml:3: unknown key "gatway"; did you mean "gateway"?'],
    ['name: a\nlisten:\n  prot: 1\n', 'test.yaml:3: unknown key "listen.prot"; did you mean "listen.port"?'],
    [
      'name: a\ngateway:\n  chains:\n    1:\n      upstreams:\n        - url: x\n        - url: x\n          wieght: 2\n',
      'test.yaml:8: unknown key "gateway.chains.1.upstreams.1.wieght"; did you mean "gateway.chains.1.upstreams.1.weight"?',
    ],
    [
      'name: a\nzzzzzzzzzz: 1\n',
      'test.yaml:2: unknown key "zzzzzzzzzz"; known keys here: name, gateway, listen, level, flag',
    ],
    ['nam: a\n', 'test.yaml:1: unknown key "nam"; did you mean "name"?; 1 more problem'],
    ['name: a\n__proto__: { x: 1 }\n', 'test.yaml:2: unknown key "__proto__"'],
    ['name: a\n<<: { flag: true }\n', 'test.yaml:2: unknown key "<<"'],
  ])('refuses the unknown key in %j', async (text, detail) => {
    expect(await refusal(text)).toContain(detail)
  })

  test.each([
    ['name: 1\n', 'test.yaml:1: name must be text (put it in quotes)'],
    ['name: a\nlisten: { port: 70000 }\n', 'test.yaml:2: listen.port must be at most 65535'],
    ['name: a\nlisten:\n  port: -1\n', 'test.yaml:3: listen.port must be at least 0'],
    ['name: a\nlisten:\n  port: 1.5\n', 'test.yaml:3: listen.port must be a whole number'],
    ['name: a\nlisten: 7\n', 'test.yaml:2: listen must be a mapping'],
    ['name: a\nlevel: loud\n', 'test.yaml:2: level must be info or debug'],
    ['name: a\nflag: yes\n', 'test.yaml:2: flag must be true or false'],
    ['name: a\ngateway: { chains: { one: { upstreams: [] } } }\n', 'gateway.chains.one must be a decimal chain id'],
    ['name: a\ngateway: { chains: { 1: { upstreams: {} } } }\n', 'gateway.chains.1.upstreams must be a list'],
    ['name: a\ngateway: {}\n', 'test.yaml:2: gateway.chains is missing'],
    ['- a\n', 'test.yaml: the file must be a mapping'],
    ['name: a\nlisten: []\n', 'test.yaml:2: listen must be a mapping'],
    ['name: a\ngateway: { chains: [] }\n', 'test.yaml:2: gateway.chains must be a mapping'],
    ['name: a\nname: b\n', 'test.yaml:2: is not valid YAML: duplicate key'],
    ['name: "a\n', 'is not valid YAML: '],
    ['name: a\n---\nname: b\n', 'is not valid YAML: multiple docs'],
    ['name: !!js/function x\n', 'test.yaml:1: is not valid YAML: tag resolve failed'],
  ])('names file, line and key of %j', async (text, detail) => {
    expect(await refusal(text)).toContain(detail)
  })

  test('no finding quotes a value, which may hold a provider key', async () => {
    for (const text of [
      'name: [hunter2]\n',
      'name: a\nlevel: hunter2\n',
      'name: a\nflag: "hunter2"\n',
      'name: a\nlisten: { port: hunter2 }\n',
      'name: a\n"hunter2" x\n',
      'name: *hunter2\n',
    ]) {
      expect(await refusal(text)).not.toContain('hunter2')
    }
  })

  test('hostile files are refused, quickly and with a typed error', async () => {
    const laughs = Array.from({ length: 12 }, (_, i) => `a${i}: &a${i} [${`*a${i - 1},`.repeat(9)}]`)
    expect(await refusal(`a: &a-1 x\n${laughs.join('\n')}`)).toContain('aliases')
    expect(await refusal(`name: ${'['.repeat(50_000)}`)).toBeDefined()
    expect(await refusal(`name: a\n"${'k'.repeat(5000)}\\e[31m": 1\n`)).toMatch(/^.{0,260}$/)
    expect(await refusal('name: a\n"\\e[31mred\\u202e": 1\n')).toContain('unknown key "?[31mred?"')
    expect(await refusal('name: a\nlisten: &x { port: *x }\n')).toBeDefined()
  })

  test.each([
    ['larger than the bound', 'x'.repeat(256 * 1024 + 1), 'is larger than'],
    ['not UTF-8', Uint8Array.of(0xff, 0xfe), 'is not UTF-8 text'],
  ])('a file that is %s cannot be used', async (_, content, detail) => {
    await expect(loadConfig(await fileWith(content), schema)).rejects.toMatchObject({
      code: 'file-unusable',
      detail: expect.stringContaining(detail),
    })
  })

  test('a missing file and a folder cannot be used', async () => {
    const missing = join(folder, 'missing.yaml')
    await expect(loadConfig(missing, schema)).rejects.toMatchObject({
      code: 'file-unusable',
      detail: `${missing} does not exist, or its folder does not`,
    })
    await expect(loadConfig(folder, schema)).rejects.toMatchObject({ detail: `${folder} is a folder, not a file` })
  })
})

test('inspectConfig lists every problem', async () => {
  const inspection = await inspectConfig(await fileWith('nmae: a\nlisten: { port: -1 }\nlevel: x\n'), schema)
  expect(inspection.ok).toBe(false)
  expect(inspection.ok ? [] : inspection.problems.map(({ line, key }) => ({ line, key }))).toEqual([
    { line: 1, key: 'nmae' },
    { line: undefined, key: 'name' },
    { line: 2, key: 'listen.port' },
    { line: 3, key: 'level' },
  ])
})

test('relative paths count from the folder of the file', () => {
  expect(resolveBeside('/etc/nightjar/relay.yaml', 'identity.key')).toBe('/etc/nightjar/identity.key')
  expect(resolveBeside('/etc/nightjar/relay.yaml', '/run/identity.key')).toBe('/run/identity.key')
})

test('missingKeys finds what an example leaves out, at any depth', () => {
  const whole = {
    name: 'a',
    gateway: { chains: { 1: { upstreams: [{ url: 'x' }, { weight: 1 }] } } },
    listen: { port: 1 },
    level: 'info',
    flag: true,
  }
  expect(missingKeys(schema, whole)).toEqual([])
  expect(missingKeys(schema, { ...whole, listen: {} })).toEqual(['listen.port'])
  expect(missingKeys(schema, { ...whole, gateway: { chains: {} } })).toEqual(['gateway.chains.*'])
  expect(missingKeys(schema, { ...whole, gateway: { chains: { 1: { upstreams: [] } } } })).toEqual([
    'gateway.chains.*.upstreams[]',
  ])
  expect(missingKeys(schema, { ...whole, gateway: { chains: { 1: { upstreams: [{ url: '' }] } } } })).toEqual([
    'gateway.chains.*.upstreams[].weight',
  ])
})
