import { errorTable } from '@nightjar/shared/errors'
import { expect, test } from 'vitest'
import * as failures from './failures.ts'

const { badParams: _, badRequest: __, providerError, ...ours } = failures

test.each(Object.entries(ours))('%s is the entry of the table', (_name, { code, message, data }) => {
  const { nightjar } = data as { readonly nightjar: keyof typeof errorTable }
  expect(errorTable[nightjar]).toMatchObject({ rpc: code, sentence: message })
})

test('a ProviderError is an Error with what the page is to know, and no more', () => {
  const error = providerError(failures.turnedOff)
  expect(error).toBeInstanceOf(Error)
  expect(error).toMatchObject({ code: 4900, message: failures.turnedOff.message, data: { nightjar: 'turned-off' } })
  expect(Object.hasOwn(providerError(failures.badRequest('no')), 'data')).toBe(false)
})
