import { base64 } from '@nightjar/shared/bytes'
import { describe, expect, test } from 'vitest'
import type { Settings, Snapshot, UiMessage } from '../messages/ui.ts'
import { usualChoices } from './accounts/settings.ts'
import { noChoices } from './shield/choices.ts'
import { metaMask } from './store.ts'
import { ScriptedPort } from './testing/ports.ts'
import { Ui } from './ui.ts'

const key = (fill: number) => base64(new Uint8Array(32).fill(fill))
const builtIn = { keys: [key(1)], threshold: 1 }
const wallet = 'a'.repeat(32)

function setUp(settings: Partial<Settings> = {}) {
  const done: unknown[] = []
  const shown: Settings = {
    wallet: metaMask,
    directory: builtIn,
    directoryIsBuiltIn: true,
    sites: [],
    shield: noChoices,
    accounts: usualChoices,
    ...settings,
  }
  const snapshot: Snapshot = {
    state: 'off',
    steps: [],
    trunks: [],
    gateways: [],
    chains: [],
    wallet: { id: metaMask, state: 'none' },
    shield: { state: 'down', today: {}, hosts: {}, restartAdvised: false, watching: false, leaks: [] },
    accounts: {
      sites: { watched: 0, cold: 0, freshness: 12 },
      linked: [],
      answers: { verified: 0, compared: 0, unverified: 0 },
      disputes: 0,
      lies: [],
    },
    requestsToday: 0,
    settings: shown,
  }
  const ui = new Ui({
    snapshot: () => snapshot,
    connect: () => done.push('connect'),
    disconnect: () => done.push('disconnect'),
    retry: () => done.push('retry'),
    save: (each) => done.push(each),
    resetDirectory: () => done.push('reset-directory'),
    choose: (hosts, choice) => done.push(choice, hosts),
    dismissRestart: () => done.push('dismiss-restart'),
    forgetLeaks: () => done.push('forget-leaks'),
  })
  const open = () => {
    const port = new ScriptedPort<UiMessage>()
    ui.serve(port)
    return port
  }
  const save = (changed: unknown) => {
    const port = open()
    port.receive({ command: 'save', settings: changed })
    return port.posted.at(-1)
  }
  return { ui, open, save, done, snapshot }
}

describe('a page of the extension', () => {
  test('is shown how things are, at once and with each change', () => {
    const { ui, open, snapshot } = setUp()
    const [one, two] = [open(), open()]
    ui.update()
    one.close()
    ui.update()
    expect([one.posted.length, two.posted.length]).toEqual([2, 3])
    expect(two.posted[0]).toEqual({ snapshot })
  })

  test('that has gone without a word does not keep others from being shown it', () => {
    const { ui, open } = setUp()
    const [gone, other] = [open(), open()]
    gone.vanish()
    ui.update()
    expect(other.posted).toHaveLength(2)
  })

  test.each([
    ['connect', 'connect', 0],
    ['cancel', 'disconnect', 0],
    ['disconnect', 'disconnect', 0],
    ['retry', 'retry', 0],
    ['reset-directory', 'reset-directory', 1],
    ['dismiss-restart', 'dismiss-restart', 0],
    ['forget-leaks', 'forget-leaks', 0],
  ])('may say %s', (command, effect, answers) => {
    const { open, done } = setUp()
    const port = open()
    port.receive({ command })
    expect([done, port.posted.length]).toEqual([[effect], 1 + answers])
  })

  test.each([
    [null],
    ['connect'],
    [{}],
    [{ command: 'explode' }],
    [{ command: 'connect', more: 1 }],
    [{ command: 'save' }],
    [{ command: 'choose', hosts: ['a.example'], choice: 'direct' }],
    [{ command: 'choose', hosts: 'a.example', choice: 'block' }],
    [[]],
  ])('saying %j is not understood, and breaks nothing', (message) => {
    const { open, done } = setUp()
    const port = open()
    port.receive(message)
    expect([done, port.isOpen]).toEqual([[], true])
    port.receive({ command: 'retry' })
    expect(done).toEqual(['retry'])
  })
})

test('a choice is handed on with its hosts', () => {
  const { open, done } = setUp()
  open().receive({ command: 'choose', hosts: ['a.example', 'b.example'], choice: 'block' })
  expect(done).toEqual(['block', ['a.example', 'b.example']])
})

describe('save', () => {
  const good = {
    wallet,
    directory: { keys: [key(5), key(6)], threshold: 2 },
    sites: ['https://a.example/*'],
    accounts: { apart: true, linking: 'alone', compareCalls: false, freshness: 30 },
  }

  test('hands on what is right', () => {
    const { save, done } = setUp()
    expect(save(good)).toEqual({ saved: true })
    expect(done).toEqual([good])
  })

  test('leaves the directory to the build where it was not touched, or where there is none', () => {
    const first = setUp()
    expect(first.save({ ...good, directory: builtIn })).toEqual({ saved: true })
    const none = setUp({ directory: { keys: [], threshold: 1 } })
    expect(none.save({ ...good, directory: { keys: [], threshold: 1 } })).toEqual({ saved: true })
    const { directory: _, ...rest } = good
    expect([first.done, none.done]).toEqual([[rest], [rest]])
  })

  test('keeps one that is the user’s own, also where it is the same', () => {
    const { save, done } = setUp({ directory: good.directory, directoryIsBuiltIn: false })
    expect(save(good)).toEqual({ saved: true })
    expect(done).toEqual([good])
  })

  test('puts sites in lower case, as the browser does', () => {
    const { save, done } = setUp()
    expect(save({ ...good, sites: ['https://App.Example/*'] })).toEqual({ saved: true })
    expect(done).toMatchObject([{ sites: ['https://app.example/*'] }])
  })

  test.each<[Record<string, unknown>, string, RegExp]>([
    [{ wallet: 'metamask' }, 'wallet', /32 letters/],
    [{ wallet: 'z'.repeat(32) }, 'wallet', /from a to p/],
    [{ directory: { keys: [], threshold: 1 } }, 'directory', /at least one key/],
    [{ directory: { keys: ['AAAA'], threshold: 1 } }, 'directory', /32 bytes/],
    [{ directory: { keys: ['*'], threshold: 1 } }, 'directory', /base64/],
    [{ directory: { keys: [key(5)], threshold: 0 } }, 'directory', /at least 1/],
    [{ directory: { keys: [key(5)], threshold: 1.5 } }, 'directory', /whole number/],
    [{ directory: { keys: [key(5)], threshold: 2 } }, 'directory', /more signatures than keys/],
    [{ directory: { keys: [key(5), key(5)], threshold: 2 } }, 'directory', /more signatures than keys/],
    [{ accounts: { ...good.accounts, linking: 'send' } }, 'accounts', /refuse or alone/],
    [{ accounts: { ...good.accounts, freshness: 0 } }, 'accounts', /from 1 to 120/],
    [{ accounts: { ...good.accounts, freshness: 121 } }, 'accounts', /from 1 to 120/],
    [{ accounts: { ...good.accounts, freshness: 1.5 } }, 'accounts', /whole number/],
    [{ accounts: { ...good.accounts, spread: 0 } }, 'accounts', /./],
    [{ sites: ['a.example'] }, 'sites', /must look like/],
    [{ sites: ['https://a.example'] }, 'sites', /must look like/],
    [{ sites: ['https://a.example/path'] }, 'sites', /must look like/],
    [{ sites: ['https://*a.example/*'] }, 'sites', /must look like/],
    [{ sites: ['file:///*'] }, 'sites', /must look like/],
    [{ sites: ['<all_urls>'] }, 'sites', /must look like/],
    [{ sites: ['https://a.example:99999/*'] }, 'sites', /port up to 65535/],
    [{ sites: Array.from({ length: 201 }, (_, index) => `https://a${index}.example/*`) }, 'sites', /at most 200/],
  ])('refuses %j, and says which field and why', (change, field, reason) => {
    const { save, done } = setUp()
    expect(save({ ...good, ...change })).toEqual({ saved: false, field, reason: expect.stringMatching(reason) })
    expect(done).toEqual([])
  })

  test.each([[null], ['x'], [5], [[]], [{}]])('refuses %j', (settings) => {
    const { save, done } = setUp()
    expect(save(settings)).toMatchObject({ saved: false })
    expect(done).toEqual([])
  })
})
