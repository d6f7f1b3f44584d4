/** The file that tells a browser of the bridge: its name, the script to start, and the extensions that may start it. */
import { basename } from 'node:path'
import * as v from 'valibot'

export const hostName = 'io.nightjar.host'

/** Fixed by the key in the extension's manifest. */
export const extensionId = 'aamjeflenjlfgoidebdgkogmcmjfphph'

export function originOf(extension: string): string {
  // Browsers insist on the slash.
  return `chrome-extension://${extension}/`
}

export function manifestText(wrapper: string, extensions: readonly string[]): string {
  const manifest = {
    name: hostName,
    description: 'Nightjar: private network access for wallets',
    path: wrapper,
    type: 'stdio',
    allowed_origins: extensions.map(originOf),
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
