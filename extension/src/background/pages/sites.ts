/** Whether a page's origin is among the sites that the user chose (Chrome's match patterns, of any path). */
export function isChosen(origin: string, sites: readonly string[]): boolean {
  return sites.length === 0 || sites.some((pattern) => matches(origin, pattern))
}

function matches(origin: string, pattern: string): boolean {
  const [, scheme, host, port] = /^(\*|https?):\/\/(.+?)(?::(\d+|\*))?\/\*$/.exec(pattern) ?? []
  if (scheme === undefined || host === undefined) return false
  const url = new URL(origin)
  if (scheme !== '*' && `${scheme}:` !== url.protocol) return false
  if (port !== undefined && port !== '*' && port !== (url.port || (url.protocol === 'https:' ? '443' : '80')))
    return false
  if (host === '*' || host === url.hostname) return true
  const base = host.startsWith('*.') ? host.slice(2) : undefined
  return base !== undefined && (url.hostname === base || url.hostname.endsWith(`.${base}`))
}
