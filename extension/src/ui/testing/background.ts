/** Stands for ui/background.ts in the gallery: shows the fixture that the page's address names, `?fixture=private`. */
import type { Background, View } from '../connection.ts'
import { type Fixture, type FixtureName, fixtures } from './fixtures.ts'

/** The test program is compiled without DOM types. */
const { location } = globalThis as unknown as { readonly location: { readonly search: string } }

export function watchBackground(show: (view: View) => void): Background {
  const name = new URLSearchParams(location.search).get('fixture') ?? 'off'
  const fixture: Fixture = fixtures[name as FixtureName]
  show(fixture)
  return { send: () => {} }
}
