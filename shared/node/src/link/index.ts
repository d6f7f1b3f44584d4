export { type Rate, TokenBucket } from './bucket.ts'
export { type Dial, type DialOptions, dialLink, isLoopback, spkiHash } from './dial.ts'
export type { AddressRefusal, IpGate } from './door.ts'
export { type Front, type FrontOptions, type LocalIpGate, openFront } from './front.ts'
export {
  type HeldBack,
  type LinkOptions,
  type LinkRates,
  type LinkRefusal,
  type LinkTraffic,
  SendMemory,
  subprotocol,
  WebSocketLink,
} from './link.ts'
export { type Listener, type ListenOptions, listenForLinks, type TlsIdentity } from './listen.ts'
export { isAddressRange, listProxies, type Proxies, plainAddress } from './proxies.ts'
