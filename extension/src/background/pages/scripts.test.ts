import { describe, expect, test } from 'vitest'
import { applyScripts, type ContentScript, type ScriptRegistry } from './scripts.ts'

const files = { content: 'content.js', inpage: 'inpage.js' }
const everywhere = ['http://*/*', 'https://*/*']
const some = ['https://a.example/*', 'https://b.example/*']

/** A registry that keeps scripts as the browser does. */
function setUp(before: readonly { id: string; matches?: readonly string[] }[] = []) {
  let scripts: readonly { id: string; matches?: readonly string[] }[] = before
  const calls: string[] = []
  const registry: ScriptRegistry = {
    registered: async () => scripts,
    async register(added) {
      calls.push('register')
      scripts = [...scripts, ...added]
    },
    async update(changed) {
      calls.push('update')
      scripts = scripts.map((script) => changed.find(({ id }) => id === script.id) ?? script)
    },
    async unregister() {
      calls.push('unregister')
      scripts = []
    },
  }
  const apply = (enabled: boolean, sites: readonly string[] = []) => applyScripts(registry, files, { enabled, sites })
  const matches = () => scripts.map(({ id, matches: each }) => [id, ...(each ?? [])])
  return { apply, calls, matches, scripts: () => scripts as readonly ContentScript[] }
}

describe('on', () => {
  test('both scripts are registered, each in its world, the bridge first', async () => {
    const { apply, scripts } = setUp()
    await apply(true)
    expect(scripts()).toEqual([
      { id: 'content', js: ['content.js'], matches: everywhere, world: 'ISOLATED' },
      { id: 'inpage', js: ['inpage.js'], matches: everywhere, world: 'MAIN' },
    ])
  })

  test('again, nothing is touched, in whatever order they are said', async () => {
    const { apply, calls } = setUp()
    await apply(true, some)
    await apply(true, [...some].reverse())
    expect(calls).toEqual(['register'])
  })

  test('for other sites they are changed, and there is no moment without them', async () => {
    const { apply, calls, matches } = setUp()
    await apply(true)
    await apply(true, some)
    await apply(true)
    expect(calls).toEqual(['register', 'update', 'update'])
    expect(matches()).toEqual([
      ['content', ...everywhere],
      ['inpage', ...everywhere],
    ])
  })

  test.each([
    [[{ id: 'content', matches: everywhere }]],
    [
      [
        { id: 'content', matches: everywhere },
        { id: 'old', matches: everywhere },
      ],
    ],
  ])('what an earlier version left is replaced: %j', async (before) => {
    const { apply, matches } = setUp(before)
    await apply(true)
    expect(matches().map(([id]) => id)).toEqual(['content', 'inpage'])
  })
})

describe('off', () => {
  test('none is registered', async () => {
    const { apply, calls, matches } = setUp()
    await apply(true)
    await apply(false)
    await apply(false)
    expect([matches(), calls]).toEqual([[], ['register', 'unregister']])
  })
})
