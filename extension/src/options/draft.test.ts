import { describe, expect, test } from 'vitest'
import { fixtures } from '../ui/testing/fixtures.ts'
import { fromDraft, isChanged, lacksSites, toDraft } from './draft.ts'

const { directoryIsBuiltIn: _, shield: __, ...settings } = fixtures['settings-own'].snapshot.settings

describe('a draft', () => {
  test('of settings says those settings, and is no change', () => {
    expect(fromDraft(toDraft(settings))).toEqual(settings)
    expect(isChanged(toDraft(settings), settings)).toBe(false)
  })

  test('may have blanks and empty lines', () => {
    const { keys, wallet, ...rest } = toDraft(settings)
    const typed = { ...rest, keys: `\n ${keys.replace('\n', ' \n\n ')}\n`, wallet: ` ${wallet} ` }
    expect(isChanged(typed, settings)).toBe(false)
  })

  test('for all sites forgets the chosen ones, and for only some of them needs one', () => {
    expect(fromDraft({ ...toDraft(settings), onlySome: false }).sites).toEqual([])
    const none = { ...toDraft(settings), sites: ' \n' }
    expect([lacksSites(none), isChanged(none, settings)]).toEqual([true, true])
  })

  test.each(['', '-1', '1.5', 'two'])('number %j becomes 0, which the background refuses', (typed) => {
    const { directory, accounts } = fromDraft({ ...toDraft(settings), threshold: typed, freshness: typed })
    expect([directory.threshold, accounts.freshness]).toEqual([0, 0])
  })
})
