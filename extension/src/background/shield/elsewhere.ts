/**
 * Where hosts that are not listed go while the shield is up: where they went before. Fixed servers are taken over with
 * their bypass rules, and a script that was given as text is called for the rest. A script behind a URL, or one that is
 * searched for, cannot be taken over: the shield is then not put up, as it would cut such a browser off.
 *
 * Left out: bypass rules for ranges of IPv6 addresses, which go to the proxy instead.
 */
import type { SystemProxy } from '@nightjar/shared/bridge'
import { NightjarError } from '@nightjar/shared/errors'
import * as v from 'valibot'

export const elsewhereSchema = v.variant('kind', [
  v.strictObject({
    kind: v.literal('servers'),
    /** What a PAC script answers for http:, https: and sockets (ws: and wss:). */
    http: v.string(),
    https: v.string(),
    sockets: v.string(),
    /** Regular expressions over `scheme://host:port` of what is reached directly. */
    bypass: v.array(v.string()),
  }),
  v.strictObject({ kind: v.literal('script'), text: v.string() }),
])

export type Elsewhere = v.InferOutput<typeof elsewhereSchema>

interface ProxyServer {
  readonly scheme?: string
  readonly host: string
  readonly port?: number
}

/** The browser's setting, as far as it is read (https://developer.chrome.com/docs/extensions/reference/api/proxy). */
export interface ProxyConfig {
  readonly mode: string
  readonly rules?: {
    readonly singleProxy?: ProxyServer
    readonly proxyForHttp?: ProxyServer
    readonly proxyForHttps?: ProxyServer
    readonly fallbackProxy?: ProxyServer
    readonly bypassList?: readonly string[]
  }
  readonly pacScript?: { readonly data?: string; readonly url?: string; readonly mandatory?: boolean }
}

export const direct: Elsewhere = { kind: 'servers', http: 'DIRECT', https: 'DIRECT', sockets: 'DIRECT', bypass: [] }

/** What a setting other than `system` leads to. @throws NightjarError `proxy-unknown` */
export function elsewhereOf({ mode, rules, pacScript }: ProxyConfig): Elsewhere {
  if (mode === 'direct') return direct
  if (mode === 'pac_script' && pacScript?.data !== undefined) return { kind: 'script', text: pacScript.data }
  if (mode !== 'fixed_servers' || rules === undefined) throw new NightjarError('proxy-unknown')
  const { singleProxy, proxyForHttp, proxyForHttps, fallbackProxy, bypassList = [] } = rules
  // As Chromium chooses (net/proxy_resolution/proxy_config.cc): sockets ask the fallback first.
  return {
    kind: 'servers',
    http: answerFor(singleProxy ?? proxyForHttp ?? fallbackProxy),
    https: answerFor(singleProxy ?? proxyForHttps ?? fallbackProxy),
    sockets: answerFor(singleProxy ?? fallbackProxy ?? proxyForHttps ?? proxyForHttp),
    bypass: bypassList.flatMap(bypassPattern),
  }
}

/** What the system's proxy leads to; null where it has none. @throws NightjarError `proxy-unknown` */
export function elsewhereOfSystem(system: SystemProxy | null): Elsewhere {
  if (system === null) return direct
  if (system.kind === 'script') throw new NightjarError('proxy-unknown')
  const answer = (way: string, address?: string) => (address === undefined ? undefined : `${way} ${address}`)
  const socks = answer('SOCKS5', system.socks)
  const http = answer('PROXY', system.http)
  const https = answer('PROXY', system.https)
  return {
    kind: 'servers',
    http: http ?? socks ?? 'DIRECT',
    https: https ?? socks ?? 'DIRECT',
    sockets: socks ?? https ?? http ?? 'DIRECT',
    bypass: system.bypass.map(asSuffix).flatMap(bypassPattern),
  }
}

const ways: Readonly<Record<string, readonly [way: string, port: number]>> = {
  http: ['PROXY', 80],
  https: ['HTTPS', 443],
  socks4: ['SOCKS', 1080],
  socks5: ['SOCKS5', 1080],
}

function answerFor(server: ProxyServer | undefined): string {
  if (server === undefined) return 'DIRECT'
  const way = ways[server.scheme ?? 'http']
  if (way === undefined) throw new NightjarError('proxy-unknown')
  const host = server.host.includes(':') ? `[${server.host.replace(/[[\]]/g, '')}]` : server.host
  return `${way[0]} ${host}:${server.port ?? way[1]}`
}

/** Systems mean a host and all below it; Chromium's rules mean the host alone. */
function asSuffix(rule: string): string {
  return /^[a-z0-9-]+(\.[a-z0-9-]*[a-z-][a-z0-9-]*)*(:\d+)?$/i.test(rule) ? `*${rule}` : rule
}

/** One of Chromium's bypass rules (net/docs/proxy.md) as a regular expression; none where it cannot be said as one. */
function bypassPattern(rule: string): string[] {
  const text = rule.trim().toLowerCase()
  if (text === '<local>') return ['^[a-z]+://[^.:\\[\\]]+:\\d+$']
  const range = /^(\d+)\.(\d+)\.(\d+)\.(\d+)\/(\d+)$/.exec(text)
  if (range !== null) return [`^[a-z]+://${rangePattern(range.slice(1).map(Number))}:\\d+$`]
  const [, scheme = '[a-z]+', host, port = '\\d+'] =
    /^(?:([a-z]+):\/\/)?(\[[0-9a-f:.]+\]|[^:/<>[\]]+)(?::(\d+))?$/.exec(text) ?? []
  if (host === undefined) return []
  const name = host.startsWith('.') ? `*${host}` : host
  const pattern = name.replace(/[.[\]{}()|^$+?\\]/g, '\\$&').replaceAll('*', '.*')
  return [`^${scheme}://${pattern}:${port}$`]
}

/** IPv4 addresses of a range: octets that are fixed, one that is so in part, and free ones. */
function rangePattern(numbers: readonly number[]): string {
  const length = Math.min(numbers[4] ?? 32, 32)
  const octets = numbers.slice(0, 4).map((octet, index) => {
    const fixed = Math.min(Math.max(length - 8 * index, 0), 8)
    if (fixed === 0) return '\\d+'
    const size = 2 ** (8 - fixed)
    const first = octet - (octet % size)
    return size === 1 ? String(octet) : `(?:${Array.from({ length: size }, (_, step) => first + step).join('|')})`
  })
  return octets.join('\\.')
}
