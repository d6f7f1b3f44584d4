/** What the scripted daemon says of itself. */
import type { Status } from '@nightjar/shared/bridge'

export const endpointBase = `http://127.0.0.1:8645/${'ab'.repeat(16)}`
export const endpointUrl = `${endpointBase}/1`

const party = (name: string) => ({ name, operator: `operator-${name}`, region: 'test' })

/** All is well, and no wallet has come yet. */
export const idleStatus: Status = {
  state: 'private',
  trunks: [
    { entry: party('entry'), middle: party('first') },
    { entry: party('entry'), middle: party('second') },
  ],
  branches: 0,
  gateways: [],
  requests: { ok: 0, failed: 0 },
  divergingRelays: 0,
  failingGuards: [],
  lastError: null,
  profile: 'fast',
  endpoint: endpointUrl,
  chains: [1],
  callers: [],
  shield: {
    port: 41000,
    sinkPort: 41001,
    running: true,
    streams: 0,
    refused: 0,
    today: {},
    hosts: [],
    lastError: null,
  },
  accounts: {
    watched: 0,
    cold: 0,
    freshnessSeconds: 12,
    verified: 0,
    compared: 0,
    unverified: 0,
    refuted: 0,
    linking: [],
    lies: [],
    disputes: [],
  },
  version: '0.1.0',
}
