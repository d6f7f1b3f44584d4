export { type Dial, type DialOptions, dialLink, isLoopback, spkiHash } from './dial.ts'
export { type LinkOptions, subprotocol, WebSocketLink } from './link.ts'
export { type Listener, type ListenOptions, listenForLinks } from './listen.ts'
