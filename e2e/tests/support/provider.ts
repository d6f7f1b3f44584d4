/**
 * What the provider was asked for clients. Gateways ask for some things of their own accord while a chain is in use
 * (docs/protocol.md, "What gateways keep"), any of them at any time, and the provider cannot tell a client's question for
 * the same from that. So tests look for questions that no gateway asks by itself, by a method or by words in them.
 */
import type { Provider, SeenRequest } from '../../src/network/index.ts'

/** The requests that hold all of `words`, in order. */
export function askedFor(provider: Provider | undefined, ...words: readonly string[]): SeenRequest[] {
  return (provider?.seen ?? []).filter(({ body }) => words.every((word) => body.includes(word)))
}
