/** Stands for options/permission.ts in the gallery. */
export function allowWatching(): Promise<void> {
  return Promise.resolve()
}

export function forbidWatching(): Promise<void> {
  return Promise.resolve()
}
