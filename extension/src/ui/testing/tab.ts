/** Stands for popup/tab.ts in the gallery: `?tab=uncovered` makes the active tab one that has to be reloaded. */

/** The test program is compiled without DOM types. */
const { location } = globalThis as unknown as { readonly location: { readonly search: string } }

export function uncoveredTab(): Promise<number | undefined> {
  return Promise.resolve(new URLSearchParams(location.search).get('tab') === 'uncovered' ? 1 : undefined)
}

export function reloadTab(): Promise<void> {
  return Promise.resolve()
}
