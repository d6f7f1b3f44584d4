/** The ids of the extensions, fixed by the keys in their manifests. Content scripts run in their alphabetical order. */
export const extensionIds = {
  nightjar: 'aamjeflenjlfgoidebdgkogmcmjfphph',
  wallet: 'nimljahphaloeeplgdaobjgbfololcgh',
} as const

export type ExtensionName = keyof typeof extensionIds
