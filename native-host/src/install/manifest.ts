/** The file that tells a browser of the bridge: its name, the script to start, and the extensions that may start it. */
import { basename } from 'node:path'
import * as v from 'valibot'

export const hostName = 'io.nightjar.host'

/** Browsers of one family read the same manifests. */
export type Family = 'chromium' | 'firefox'

/** Fixed by the key in the extension's manifest, and by the name in the one for Firefox (extension/manifest*.ts). */
export const extensionIds: Readonly<Record<Family, string>> = {
  chromium: 'aamjeflenjlfgoidebdgkogmcmjfphph',
  firefox: 'nightjar@nightjar.app',
}

/** Those of `ids` that browsers of the family can know: a hash in letters, or a name. Ours where there is none. */
export function extensionsFor(family: Family, ids: readonly string[]): readonly string[] {
  const known = ids.filter((id) => /^[a-p]{32}$/.test(id) === (family === 'chromium'))
  return known.length > 0 ? known : [extensionIds[family]]
}

/** How a browser says which extension it starts the bridge for. */
export function callerOf(family: Family, extension: string): string {
  // Chromium insists on the slash.
  return family === 'chromium' ? `chrome-extension://${extension}/` : extension
}

export function manifestText(wrapper: string, family: Family, extensions: readonly string[]): string {
  const allowed = extensions.map((id) => callerOf(family, id))
  const manifest = {
    name: hostName,
    description: 'Nightjar: private network access for wallets',
    path: wrapper,
    type: 'stdio',
    ...(family === 'chromium' ? { allowed_origins: allowed } : { allowed_extensions: allowed }),
  }
  return `${JSON.stringify(manifest, null, 2)}\n`
}

const ours = v.pipe(
  v.string(),
  v.parseJson(),
  v.object({
    name: v.literal(hostName),
    path: v.pipe(
      v.string(),
      v.check((path) => /^nightjar-host(\.bat)?$/.test(basename(path))),
    ),
  }),
)

/** The script that the manifest `text` names; undefined where the manifest is not one of ours. */
export function wrapperIn(text: string): string | undefined {
  const { success, output } = v.safeParse(ours, text)
  return success ? output.path : undefined
}
