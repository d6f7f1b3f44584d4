import { errorTable } from '@nightjar/shared/errors'
import { expect, test } from 'vitest'
import { whoSees } from './texts.ts'

test('of all parties only the user knows both who asks and what is asked', () => {
  expect(whoSees.filter(({ address, content }) => address && content).map(({ party }) => party)).toEqual(['You'])
})

test('each back quote in a sentence of the table of errors has its other half, as pages set code between them', () => {
  const odd = Object.values(errorTable).filter(({ sentence }) => sentence.split('`').length % 2 === 0)
  expect(odd).toEqual([])
})
