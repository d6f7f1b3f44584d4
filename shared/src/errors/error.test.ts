import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { asNightjarError, errorTable, NightjarError } from './index.ts'

describe('NightjarError', () => {
  test('says its sentence', () => {
    const error = new NightjarError('draining')
    expect(error).toBeInstanceOf(Error)
    expect(error.name).toBe('NightjarError')
    expect(error.code).toBe('draining')
    expect(error.message).toBe(errorTable.draining.sentence)
    expect(error.detail).toBeUndefined()
    expect(error.facts).toBeUndefined()
    expect('cause' in error).toBe(false)
  })

  test('says its detail after the sentence, and keeps its cause', () => {
    const cause = new Error('why')
    const error = new NightjarError('draining', { detail: 'more', cause })
    expect(error.message).toBe(`${errorTable.draining.sentence} (more)`)
    expect(error.detail).toBe('more')
    expect(error.cause).toBe(cause)
  })

  test('facts and the words of a cause never reach the message or the text form', () => {
    const facts = { address: '0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045' }
    const error = new NightjarError('refused', { facts, cause: new Error('198.51.100.7') })
    expect(error.facts).toEqual(facts)
    for (const text of [error.message, String(error), error.stack ?? '']) {
      expect(text).not.toContain('0xd8dA')
      expect(text).not.toContain('198.51.100.7')
    }
    // What a debugger or `console.log` shows is another matter: it prints every property, so logs must not use it.
    expect(inspect(error)).toContain('0xd8dA')
  })
})

describe('asNightjarError', () => {
  test('leaves ours alone', () => {
    const error = new NightjarError('idle')
    expect(asNightjarError(error, 'refused')).toBe(error)
  })

  test.each([new TypeError('x'), 'text', undefined, null, 7, { code: 'draining' }])('wraps %o', (thrown) => {
    const error = asNightjarError(thrown)
    expect(error.code).toBe('internal')
    expect(error.cause).toBe(thrown)
    expect(asNightjarError(thrown, 'connect-failed').code).toBe('connect-failed')
  })
})
