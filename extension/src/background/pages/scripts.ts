/**
 * The scripts in web pages: registered while Nightjar is on, for the sites that the user allowed, and not there
 * otherwise, so that a page cannot find out about an extension that does nothing for it.
 */

export interface ContentScript {
  readonly id: string
  readonly js: readonly string[]
  readonly matches: readonly string[]
  readonly world: 'MAIN' | 'ISOLATED'
}

export interface ScriptRegistry {
  registered(): Promise<readonly { readonly id: string; readonly matches?: readonly string[] | undefined }[]>
  register(scripts: readonly ContentScript[]): Promise<void>
  /** All or none: where it throws, the scripts are what they were. */
  update(scripts: readonly ContentScript[]): Promise<void>
  unregister(): Promise<void>
}

const everywhere = ['http://*/*', 'https://*/*']

export interface ScriptFiles {
  readonly content: string
  readonly inpage: string
}

/**
 * Makes what is registered what should be. Registered scripts outlive the browser, so most often nothing changes; and
 * while they are wanted there is no moment without them, in which a page would load uncovered.
 */
export async function applyScripts(
  registry: ScriptRegistry,
  files: ScriptFiles,
  wanted: { readonly enabled: boolean; readonly sites: readonly string[] },
): Promise<void> {
  const matches = wanted.sites.length > 0 ? wanted.sites : everywhere
  // In this order: the bridge listens before the provider offers it their channel.
  const scripts: ContentScript[] = [
    { id: 'content', js: [files.content], matches, world: 'ISOLATED' },
    { id: 'inpage', js: [files.inpage], matches, world: 'MAIN' },
  ]
  const registered = await registry.registered()
  const isComplete = scripts.every(({ id }) => registered.some((script) => script.id === id))
  if (!wanted.enabled) {
    if (registered.length > 0) await registry.unregister()
  } else if (!isComplete) {
    if (registered.length > 0) await registry.unregister()
    await registry.register(scripts)
  } else if (!registered.every((script) => sameSet(script.matches ?? [], matches))) await registry.update(scripts)
}

function sameSet(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((each) => b.includes(each))
}
