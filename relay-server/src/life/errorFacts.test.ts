import { errorTable, NightjarError } from '@nightjar/shared/errors'
import { describe, expect, test } from 'vitest'
import { errorFacts } from './errorFacts.ts'

describe('an error in the log', () => {
  test('that is to be expected says what happened, what to do and to which file, without lines of code', () => {
    const cause = Object.assign(new Error('open /secret'), { code: 'ENOENT' })
    const error = new NightjarError('file-unusable', { detail: 'network document', cause })
    expect(errorFacts(error, '/etc/network.json')).toEqual({
      error: {
        code: 'file-unusable',
        sentence: errorTable['file-unusable'].sentence,
        detail: 'network document',
        cause: { code: 'ENOENT' },
      },
      file: '/etc/network.json',
    })
  })

  test('that is a mistake of ours keeps its stack', () => {
    for (const error of [new TypeError('x is undefined'), new NightjarError('internal')])
      expect(errorFacts(error)).toEqual({ error })
  })
})
