/**
 * Where a request goes: the shield's decision, the same in Chromium's script (pac.ts) and in Firefox's background
 * (requestDoor.ts). Only https: and wss: at port 443 can be shielded, as exits carry nothing else; whatever else leads to
 * a listed host is blocked.
 */
import type { Choice } from '../../messages/ui.ts'

export interface Ports {
  /** SOCKS5, for hosts that are shielded. */
  readonly port: number
  /** SOCKS5 that refuses everything, for hosts that are blocked. */
  readonly sinkPort: number
}

/** Discard: nobody listens there, and only root could. Where listed hosts go while the daemon is not there. */
const discard = 9
export const nowhere: Ports = { port: discard, sinkPort: discard }

/** `shield` and `sink` are the daemon's; `elsewhere` is where the browser would send it without us. */
export type Way = 'shield' | 'sink' | 'elsewhere'

export interface Decision {
  readonly way: Way
  readonly scheme: string
  /** The host as lists have it: lower case, without the dots of the root. */
  readonly name: string
  readonly port: string
}

/**
 * The script is made of this function's text, so it must use nothing from outside of itself but the language.
 *
 * @param hosts each stands for itself and all below it; the longest that fits counts
 */
export function decide(hosts: ReadonlyMap<string, Choice>, url: string, host: string): Decision {
  const parts = /^([a-z]+):\/\/(?:[^/?#]*@)?(?:\[[^\]]*\]|[^/?#:]*)(?::(\d+))?/.exec(url.toLowerCase()) ?? []
  const scheme = parts[1] ?? ''
  const isSecure = scheme === 'https' || scheme === 'wss'
  const port = parts[2] ?? (isSecure ? '443' : '80')
  const name = host.toLowerCase().replace(/\.+$/, '')
  let suffix = name
  while (!hosts.has(suffix) && suffix.includes('.')) suffix = suffix.slice(suffix.indexOf('.') + 1)
  const choice = hosts.get(suffix)
  if (choice === undefined || choice === 'leave') return { way: 'elsewhere', scheme, name, port }
  return { way: choice === 'shield' && isSecure && port === '443' ? 'shield' : 'sink', scheme, name, port }
}
