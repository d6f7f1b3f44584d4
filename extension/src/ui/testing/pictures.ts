/** Which pictures the gallery is made of: a page, a fixture, and what is pressed before it is taken. */
import { type FixtureName, fixtures } from './fixtures.ts'

export interface Picture {
  readonly name: string
  readonly page: 'popup' | 'options' | 'first-run'
  readonly query: string
  /** Names of buttons. */
  readonly press?: readonly string[]
  /** In CSS pixels. */
  readonly width: number
}

const popupWidth = 360
const pageWidth = 960

function popup(fixture: FixtureName): Picture {
  return { name: `popup-${fixture}`, page: 'popup', query: `fixture=${fixture}`, width: popupWidth }
}

function page(name: Picture['page'], fixture: FixtureName, width = pageWidth): Picture {
  const suffix = width === pageWidth ? '' : '-narrow'
  return { name: `${name}-${fixture}${suffix}`, page: name, query: `fixture=${fixture}`, width }
}

const inPopup = (Object.keys(fixtures) as FixtureName[]).filter((name) => !name.startsWith('settings-'))

export const pictures: readonly Picture[] = [
  ...inPopup.map(popup),
  { ...popup('private'), name: 'popup-private-tab', query: 'fixture=private&tab=uncovered' },
  { ...popup('private'), name: 'popup-leaving', press: ['Turn off'] },
  { ...popup('private-many-chains'), name: 'popup-leaving-many-chains', press: ['Turn off'] },
  page('options', 'private'),
  page('options', 'settings-own', popupWidth),
  page('options', 'off', popupWidth),
  page('options', 'settings-own'),
  page('options', 'settings-refused'),
  page('first-run', 'off'),
  page('first-run', 'connecting-wallet'),
  page('first-run', 'failed-host'),
  page('first-run', 'private'),
  page('first-run', 'off', popupWidth),
]
