import { expect, test } from 'vitest'
import { browserOf } from './browsers.ts'

test.each([
  ['chrome', ['Not)A;Brand', 'Chromium', 'Google Chrome']],
  ['brave', ['Brave', 'Chromium', 'Not)A;Brand']],
  ['edge', ['Chromium', 'Microsoft Edge', 'Not)A;Brand']],
  ['chromium', ['Chromium', 'Not)A;Brand']],
  ['chromium', []],
  ['firefox', undefined],
] as const)('%s is told from %j', (browser, brands) => {
  expect(browserOf(brands?.map((brand) => ({ brand })))).toBe(browser)
})
