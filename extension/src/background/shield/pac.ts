/**
 * The script by which Chromium chooses a proxy for each request (PAC), its own and those of every other extension: listed
 * hosts go to the daemon's shield or its sink, never direct; all others where they went before. It asks no name server.
 * Set as mandatory: where it cannot be run, requests fail.
 *
 * Spec: net/docs/proxy.md of Chromium.
 */
import type { Choice } from '../../messages/ui.ts'
import { decide, nowhere, type Ports } from './decision.ts'
import type { Elsewhere } from './elsewhere.ts'

export interface PacInit {
  readonly hosts: Iterable<readonly [suffix: string, choice: Choice]>
  /** Undefined while the daemon is not there. */
  readonly ports: Ports | undefined
  readonly elsewhere: Elsewhere
}

/** All but the answer stands in a function of its own, where a script that was there before cannot change it. */
export function pacScript({ hosts, ports, elsewhere }: PacInit): string {
  const { port, sinkPort } = ports ?? nowhere
  const script = `'use strict';
var FindProxyForURL = (function () {
var hosts = new Map(${JSON.stringify([...hosts])});
var decide = ${decide};
${elsewhere.kind === 'script' ? theirScript(elsewhere.text) : theirServers(elsewhere)}
return function (url, host) {
  var decision = decide(hosts, String(url), String(host));
  if (decision.way === 'shield') return 'SOCKS5 127.0.0.1:${port}';
  if (decision.way === 'sink') return 'SOCKS5 127.0.0.1:${sinkPort}';
  return elsewhere(url, host, decision);
};
})();
`
  // The browser takes nothing else, and in a string it is the same.
  return script.replace(/[^\0-\x7f]/g, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

function theirServers({ http, https, sockets, bypass }: Extract<Elsewhere, { kind: 'servers' }>): string {
  if ([http, https, sockets].every((way) => way === 'DIRECT')) return `function elsewhere() { return 'DIRECT'; }`
  return `var ways = new Map(${JSON.stringify([
    ['http', http],
    ['ws', sockets],
    ['wss', sockets],
  ])});
var bypass = ${JSON.stringify(bypass)}.map(function (source) { return new RegExp(source); });
function elsewhere(url, host, decision) {
  var target = decision.scheme + '://' + decision.name + ':' + decision.port;
  if (bypass.some(function (each) { return each.test(target); })) return 'DIRECT';
  return ways.get(decision.scheme) || ${JSON.stringify(https)};
}`
}

/** In a function of its own, as text: it cannot end that function, and ours is set after whatever it does. */
function theirScript(text: string): string {
  return `var elsewhere = new Function(${JSON.stringify(`${text}\nreturn FindProxyForURL;`)})();`
}
