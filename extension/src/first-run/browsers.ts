/** The browsers that `nightjar install` knows, and which of them this one is. */
export const browsers = {
  chromium: 'Chromium',
  chrome: 'Chrome',
  brave: 'Brave',
  edge: 'Edge',
  firefox: 'Firefox',
} as const

export type Browser = keyof typeof browsers

/** From `navigator.userAgentData.brands`, where all but Firefox, which has none, also call themselves Chromium. */
export function browserOf(brands: readonly { readonly brand: string }[] | undefined): Browser {
  if (brands === undefined) return 'firefox'
  const names = brands.map(({ brand }) => brand)
  if (names.includes('Brave')) return 'brave'
  if (names.includes('Microsoft Edge')) return 'edge'
  return names.includes('Google Chrome') ? 'chrome' : 'chromium'
}
