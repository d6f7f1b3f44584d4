/**
 * The proxy that the machine gives its browsers, seen from the process that a browser starts: once the extension sets a
 * proxy of its own, it cannot read this one any more. As Chromium finds it: on GNOME and the desktops like it in the
 * settings that they share, elsewhere on Linux in the environment, on macOS and Windows in the system's settings (both
 * written after their documentation, and not run).
 *
 * Where it cannot be found out there may be one, such as Tor or a company's, and going past it would tell what it hides:
 * that is told as a script, which nobody can follow.
 *
 * Not read: KDE's settings, what Windows finds by WPAD, and the browser's own command line.
 */
import type { SystemProxy } from '@nightjar/shared/bridge'
import { second } from '@nightjar/shared/runtime'
import type { Machine } from '../install/machine.ts'

const askTimeout = 2 * second
const script: SystemProxy = { kind: 'script' }
const unknown = script
const gnomeSchema = 'org.gnome.system.proxy'
/** Of those that XDG_CURRENT_DESKTOP names, the ones whose settings Chromium reads by gsettings (base/nix/xdg_util.cc). */
const gnomeDesktops: ReadonlySet<string> = new Set(['GNOME', 'X-Cinnamon', 'Pantheon', 'Unity', 'Deepin', 'UKUI'])
/** The same of DESKTOP_SESSION, which older ones set. */
const gnomeSessions: ReadonlySet<string> = new Set(['gnome', 'mate', 'deepin', 'ukui'])

/** Each as it was found: `host:port`, with a scheme in front or not. */
interface Found {
  readonly http?: string | undefined
  readonly https?: string | undefined
  readonly socks?: string | undefined
  readonly bypass: readonly string[]
}

/** Never rejects: what cannot be found out is told as a script. */
export async function findSystemProxy({
  platform,
  environment,
  run,
}: Omit<Machine, 'home'>): Promise<SystemProxy | null> {
  const ask = async (file: string, ...args: string[]) => {
    const { ok, stdout } = await run(file, args, askTimeout)
    return ok && stdout.trim() !== '' ? stdout : undefined
  }
  const read = (text: string | undefined, from: (text: string) => SystemProxy | null) =>
    text === undefined ? unknown : from(text)
  if (platform === 'darwin') return read(await ask('scutil', '--proxy'), fromScutil)
  if (platform === 'win32') return read(await ask('reg', 'query', internetSettings), fromRegistry)
  if (!isLikeGnome(environment)) return fromEnvironment(environment)
  const settings = await ask('gsettings', 'list-recursively', gnomeSchema)
  if (settings !== undefined) return fromGsettings(settings)
  // Chromium asks the environment where these settings are not installed, and only there.
  const schemas = await ask('gsettings', 'list-schemas')
  const isInstalled = schemas === undefined || schemas.split(/\s+/).includes(gnomeSchema)
  return isInstalled ? unknown : fromEnvironment(environment)
}

function isLikeGnome({ XDG_CURRENT_DESKTOP = '', DESKTOP_SESSION = '' }: NodeJS.ProcessEnv): boolean {
  const named = XDG_CURRENT_DESKTOP.split(':')
  return named.some((each) => gnomeDesktops.has(each)) || gnomeSessions.has(DESKTOP_SESSION)
}

const internetSettings = 'HKCU\\Software\\Microsoft\\Windows\\CurrentVersion\\Internet Settings'

export function fromEnvironment(environment: NodeJS.ProcessEnv): SystemProxy | null {
  const read = (name: string) => environment[name] ?? environment[name.toUpperCase()]
  // Even where it is empty: then the script is to be searched for.
  if (read('auto_proxy') !== undefined) return script
  const all = read('all_proxy') || undefined
  const bypass = listIn(read('no_proxy') ?? '', ',')
  return told({ http: read('http_proxy') || all, https: read('https_proxy') || all, bypass })
}

/** Lines such as `org.gnome.system.proxy.http host 'proxy.example'`. */
export function fromGsettings(text: string): SystemProxy | null {
  const values = new Map<string, string>()
  for (const [, child, key, value] of text.matchAll(/^org\.gnome\.system\.proxy\.?(\S*) (\S+) (.*)$/gm)) {
    values.set(`${child} ${key}`, (value as string).replace(/^'(.*)'$/, '$1'))
  }
  const mode = values.get(' mode')
  if (mode === 'auto') return script
  if (mode !== 'manual') return null
  if (values.get('http use-authentication') === 'true') return script
  const server = (child: string) => {
    const [host, port] = [values.get(`${child} host`), values.get(`${child} port`)]
    return host ? `${host}:${port}` : undefined
  }
  const bypass = [...(values.get(' ignore-hosts') ?? '').matchAll(/'([^']*)'/g)].map(([, each]) => each as string)
  return told({ http: server('http'), https: server('https'), socks: server('socks'), bypass })
}

/** Lines such as `  HTTPSProxy : proxy.example`, and a list of exceptions. */
export function fromScutil(text: string): SystemProxy | null {
  const value = (key: string) => new RegExp(`^\\s*${key} : (.*)$`, 'm').exec(text)?.[1]
  if (value('ProxyAutoConfigEnable') === '1' || value('ProxyAutoDiscoveryEnable') === '1') return script
  const server = (kind: string) =>
    value(`${kind}Enable`) === '1' ? `${value(`${kind}Proxy`)}:${value(`${kind}Port`)}` : undefined
  const exceptions = /ExceptionsList : <array> \{([^}]*)\}/.exec(text)?.[1] ?? ''
  const bypass = [...exceptions.matchAll(/^\s*\d+ : (.*)$/gm)].map(([, each]) => each as string)
  return told({ http: server('HTTP'), https: server('HTTPS'), socks: server('SOCKS'), bypass })
}

/** Lines such as `    ProxyServer    REG_SZ    http=a:80;https=b:81`, or one address for all. */
export function fromRegistry(text: string): SystemProxy | null {
  const value = (name: string) => new RegExp(`^\\s+${name}\\s+REG_\\w+\\s+(.*?)\\s*$`, 'm').exec(text)?.[1]
  if (value('AutoConfigURL')) return script
  if (Number(value('ProxyEnable') ?? 0) !== 1) return null
  const bypass = listIn(value('ProxyOverride') ?? '', ';')
  const entries = listIn(value('ProxyServer') ?? '', ';')
  const server = (kind: string) => entries.find((each) => each.startsWith(`${kind}=`))?.slice(kind.length + 1)
  const all = entries.find((each) => !each.includes('='))
  return told({ http: server('http') ?? all, https: server('https') ?? all, socks: server('socks'), bypass })
}

/** What can be chained to, as it is told; a script where there is something that cannot. */
function told({ bypass, ...found }: Found): SystemProxy | null {
  // Everything is reached without it.
  if (bypass.includes('*')) return null
  const addresses: { http?: string; https?: string; socks?: string } = {}
  for (const kind of ['https', 'http', 'socks'] as const) {
    const text = found[kind]
    if (text === undefined) continue
    const parsed = parseAddress(text, kind === 'socks' ? 'socks5' : 'http')
    if (parsed === undefined) return script
    if (parsed.isSocks) addresses.socks ??= parsed.address
    else addresses[kind] = parsed.address
  }
  if (Object.keys(addresses).length === 0) return null
  return { kind: 'fixed', ...addresses, bypass: bypass.slice(0, mostBypass).map((each) => each.slice(0, 300)) }
}

const mostBypass = 500

/** Undefined where it wants a password or TLS, neither of which a PAC script's proxy can be given for certain. */
function parseAddress(text: string, assumed: string): { address: string; isSocks: boolean } | undefined {
  const [, scheme = assumed, host, port] =
    /^(?:([a-z0-9]+):\/\/)?(\[[^\]]+\]|[^:/@]+)(?::(\d{1,5}))?\/?$/i.exec(text) ?? []
  if (host === undefined) return undefined
  const isSocks = /^socks(4a?|5h?)?$/i.test(scheme)
  if (!isSocks && scheme.toLowerCase() !== 'http') return undefined
  return { address: `${host}:${port ?? (isSocks ? 1080 : 80)}`, isSocks }
}

function listIn(text: string, separator: string): string[] {
  return text
    .split(separator)
    .map((each) => each.trim())
    .filter((each) => each !== '')
}
