/**
 * Runs in the page's own world before its scripts: announces the provider (EIP-6963) as MetaMask and sets
 * `window.ethereum` by plain assignment, as @metamask/providers does.
 */
import { Provider } from './provider.ts'
import { contentName, inpageName, openPageStream } from './stream.ts'

const icon =
  "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'%3E" +
  "%3Crect width='32' height='32' rx='8' fill='%23d9722b'/%3E%3Cpath d='M8 11h16v11H8z' fill='%23fff'/%3E" +
  "%3Ccircle cx='20' cy='16.5' r='2' fill='%23d9722b'/%3E%3C/svg%3E"

function main(): void {
  const provider = new Provider(openPageStream(inpageName, contentName, (message) => provider.receive(message)))
  const proxied = new Proxy(provider, {
    // Some libraries delete methods; being refused would throw in strict mode.
    deleteProperty: () => true,
    // Getters read private fields, which a Proxy does not have.
    get: (target, key) => Reflect.get(target, key),
  })
  announce(proxied)
  Object.assign(window, { ethereum: proxied })
  window.dispatchEvent(new Event('ethereum#initialized'))
}

function announce(provider: Provider): void {
  const info = { uuid: randomUuid(), name: 'MetaMask', icon, rdns: 'io.metamask' }
  const dispatch = () =>
    window.dispatchEvent(
      new CustomEvent('eip6963:announceProvider', { detail: Object.freeze({ info: { ...info }, provider }) }),
    )
  dispatch()
  window.addEventListener('eip6963:requestProvider', dispatch)
}

/** Version 4. `crypto.randomUUID` is missing on plain http. */
function randomUuid(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  bytes[6] = ((bytes[6] as number) & 0x0f) | 0x40
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

if (document.documentElement?.nodeName === 'HTML') main()
