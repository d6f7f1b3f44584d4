/** The two settings of the browser that the shield sets, as Chromium has them. */

import type { ProxyConfig } from './elsewhere.ts'
import type { BrowserSetting, Control } from './settingDoor.ts'

/** `types.ChromeSetting`; the polyfill knows Firefox's form only. */
interface ChromeSetting<T> {
  get(details: object): Promise<{ readonly value: T; readonly levelOfControl: Control }>
  /** `regular`: incognito windows too, as far as the user allowed the extension there. */
  set(details: { readonly value: T; readonly scope: 'regular' }): Promise<void>
  clear(details: { readonly scope: 'regular' }): Promise<void>
  readonly onChange: { addListener(listener: () => void): void }
}

declare const chrome: {
  readonly proxy: { readonly settings: ChromeSetting<ProxyConfig> }
  readonly privacy: { readonly network: { readonly networkPredictionEnabled: ChromeSetting<boolean> } }
}

export const proxy = settingOf(() => chrome.proxy.settings)
export const prediction = settingOf(() => chrome.privacy.network.networkPredictionEnabled)

function settingOf<T>(setting: () => ChromeSetting<T>): BrowserSetting<T> {
  return {
    get: () => setting().get({}),
    set: (value) => setting().set({ value, scope: 'regular' }),
    clear: () => setting().clear({ scope: 'regular' }),
    onChange: (listener) => setting().onChange.addListener(() => listener()),
  }
}
