import { expect, test } from 'vitest'
import { isChosen } from './sites.ts'

test('without a choice every site is chosen', () => {
  expect(isChosen('https://a.example', [])).toBe(true)
})

test.each<[string, readonly string[], readonly string[]]>([
  [
    'https://a.example/*',
    ['https://a.example', 'https://a.example:8443', 'https://a.example.'],
    ['http://a.example', 'https://b.a.example', 'https://aa.example'],
  ],
  ['http://a.example/*', ['http://a.example'], ['https://a.example']],
  ['*://a.example/*', ['http://a.example', 'https://a.example'], ['https://b.example']],
  [
    'https://*.a.example/*',
    ['https://a.example', 'https://x.a.example', 'https://x.y.a.example'],
    ['https://xa.example', 'https://a.example.evil.example'],
  ],
  ['https://*/*', ['https://a.example', 'https://127.0.0.1'], ['http://a.example']],
  ['*://*/*', ['https://a.example', 'http://[::1]:80'], []],
  ['http://127.0.0.1:5173/*', ['http://127.0.0.1:5173'], ['http://127.0.0.1', 'http://127.0.0.1:5174']],
  ['https://a.example:443/*', ['https://a.example'], ['https://a.example:8443']],
  ['http://a.example:80/*', ['http://a.example'], ['http://a.example:8080']],
  ['https://a.example:*/*', ['https://a.example', 'https://a.example:1'], []],
  ['http://[::1]/*', ['http://[::1]', 'http://[::1]:8080'], ['http://[::2]']],
  // Chrome puts the scripts there in any case: what it says is to be understood the same way.
  ['HTTPS://App.Example/*', ['https://app.example'], []],
  ['https://a.example./*', ['https://a.example', 'https://a.example.'], []],
  ['a.example', [], ['https://a.example']],
  ['https://a.example', [], ['https://a.example']],
  ['', [], ['https://a.example']],
])('%s', (pattern, chosen, others) => {
  for (const origin of chosen) expect([origin, isChosen(origin, [pattern])]).toEqual([origin, true])
  for (const origin of others) expect([origin, isChosen(origin, [pattern])]).toEqual([origin, false])
})

test('one of several is enough', () => {
  expect(isChosen('https://b.example', ['https://a.example/*', 'https://b.example/*'])).toBe(true)
})
