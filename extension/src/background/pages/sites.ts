/** Whether a page's origin is among the sites that the user chose (Chrome's match patterns, of any path). */
export function isChosen(origin: string, sites: readonly string[]): boolean {
  return sites.length === 0 || sites.some((pattern) => matches(origin, pattern))
}

/** As Chrome matches: in any case, and with or without the dot that may end a host's name. */
function matches(origin: string, pattern: string): boolean {
  const [, scheme, host, port] = /^(\*|https?):\/\/(.+?)(?::(\d+|\*))?\/\*$/.exec(pattern.toLowerCase()) ?? []
  if (scheme === undefined || host === undefined) return false
  const url = new URL(origin)
  if (scheme !== '*' && `${scheme}:` !== url.protocol) return false
  if (port !== undefined && port !== '*' && port !== (url.port || (url.protocol === 'https:' ? '443' : '80')))
    return false
  const name = withoutDot(url.hostname)
  if (host === '*' || withoutDot(host) === name) return true
  const base = host.startsWith('*.') ? withoutDot(host.slice(2)) : undefined
  return base !== undefined && (name === base || name.endsWith(`.${base}`))
}

function withoutDot(host: string): string {
  return host.endsWith('.') ? host.slice(0, -1) : host
}
