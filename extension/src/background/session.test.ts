import { turn } from '@nightjar/shared/testing'
import { describe, expect, test, vi } from 'vitest'
import { Session } from './session.ts'

const state = { restart: 'dismissed' as const, leaks: [{ host: 'a.example', site: '', count: 1, last: 5 }] }

async function load(stored: unknown) {
  const written: unknown[] = []
  const session = await Session.load({ read: async () => stored, write: async (value) => void written.push(value) })
  return { session, written }
}

describe('the session', () => {
  test('is new once, with the first service worker after the browser’s start', async () => {
    const { session, written } = await load(undefined)
    expect([session.isNew, session.state]).toEqual([true, { restart: 'none', leaks: [] }])
    const { session: next } = await load(written.at(-1))
    expect([next.isNew, next.state]).toEqual([false, session.state])
  })

  test('gives what was stored, and begins anew with what cannot be read', async () => {
    expect((await load(state)).session.state).toEqual(state)
    for (const damaged of ['x', { ...state, restart: 'soon' }, { ...state, leaks: [{}] }]) {
      expect((await load(damaged)).session.state).toEqual({ restart: 'none', leaks: [] })
    }
  })

  test('works where nothing can be stored', async () => {
    const said = vi.spyOn(console, 'error').mockImplementation(() => undefined)
    const session = await Session.load({ read: async () => undefined, write: () => Promise.reject(new Error('full')) })
    session.change(state)
    await turn()
    expect([session.state, said.mock.calls.length]).toEqual([state, 2])
    said.mockRestore()
  })
})
