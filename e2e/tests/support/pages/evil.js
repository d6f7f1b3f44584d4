/** What a hostile page knows and does, each as a function that a test calls. */

/** Providers that announced themselves, by their rdns. */
const providers = new Map()
const pushes = []
addEventListener('eip6963:announceProvider', ({ detail }) => providers.set(detail.info.rdns, detail.provider))
dispatchEvent(new Event('eip6963:requestProvider'))
providers.get('app.nightjar')?.on('message', ({ data }) => pushes.push(data))

/** What a provider answers, or its error. */
function ask(method, params = [], rdns = 'app.nightjar') {
  return settle(providers.get(rdns).request({ method, params }))
}

function settle(asked) {
  return asked.then(
    (result) => ({ result }),
    ({ code, message, data }) => ({ error: { code, message, data } }),
  )
}

function addFrame(attributes) {
  const element = Object.assign(document.createElement('iframe'), attributes)
  document.body.append(element)
  return element
}

/** Windows of the page's own, in which it is before the browser has loaded anything into them. */
const ownWindows = {
  blank: () => addFrame({}).contentWindow,
  javascript: () => addFrame({ src: 'javascript:""' }).contentWindow,
  srcdoc: () => addFrame({ srcdoc: '<!doctype html>' }).contentWindow,
  sandboxed: () => addFrame({ sandbox: 'allow-scripts allow-same-origin' }).contentWindow,
  'same site': () => addFrame({ src: '/nothing.html' }).contentWindow,
  opened: () => open('about:blank'),
}

/** Opens one, and hooks it at once and again when it has loaded. */
async function openOwn(kind) {
  const own = ownWindows[kind]()
  hook(own)
  if (own.document.readyState !== 'complete' || own.frameElement?.src || own.frameElement?.srcdoc) {
    await new Promise((resolve) => own.frameElement.addEventListener('load', resolve, { once: true }))
  }
  return own
}

/** What somebody might take for a message of Nightjar's own. `marker` is an address that nobody else asks about. */
function forgeries(marker) {
  const request = { method: 'eth_getBalance', params: [marker, 'latest'], chain: 1, door: 'nightjar' }
  return [
    { ...request, id: 1 },
    { ...request, id: 1, group: 'http://good.example', origin: 'http://good.example' },
    { ...request, id: '1' },
    { ...request, id: 1, door: 'ui' },
    { ...request, id: 1, chain: '0x1' },
    { type: 'rpc', id: 1, chain: 1, method: 'eth_getBalance', params: request.params },
    { command: 'disconnect' },
    { command: 'reset-directory' },
    { command: 'save', settings: { wallet: 'a'.repeat(32), directory: { keys: [], threshold: 1 }, sites: [] } },
    { event: 'gone' },
    { event: 'subscription', subscription: '0x1', result: '0x1' },
    { id: 1, pass: true },
    { ping: true },
    { name: 'nightjar', data: request },
    'nightjar',
  ]
}

const replies = []

/** Sends `messages` as events of each of `types`, with and without a port, and into the port. */
function forge(scope, types, messages) {
  for (const target of [scope, scope.document, scope.document.documentElement]) {
    for (const type of types) {
      for (const data of messages) {
        const { port1, port2 } = new MessageChannel()
        port1.onmessage = (event) => replies.push(event.data)
        target.dispatchEvent(new scope.MessageEvent(type, { data, ports: [port2], source: scope, cancelable: true }))
        target.dispatchEvent(new scope.CustomEvent(type, { detail: data, bubbles: true }))
        port1.postMessage(data)
      }
    }
  }
  for (const data of messages) {
    const { port1, port2 } = new MessageChannel()
    port1.onmessage = (event) => replies.push(event.data)
    scope.postMessage(data, '*', [port2])
    port1.postMessage(data)
  }
}

/** Sends `messages` into each port that was caught, both ends of a channel alike; resolves with the answer to `id`. */
function useCaught(messages, id) {
  return new Promise((resolve) => {
    for (const port of caught.ports) {
      port.addEventListener('message', ({ data }) => data.id === id && !('method' in data) && resolve(data))
      port.start()
      for (const message of messages) port.postMessage(message)
    }
  })
}

/** What the browser says of a file of an extension, asked for in every way. */
async function see(url) {
  const load = (name, attributes) =>
    new Promise((resolve) => {
      const element = Object.assign(document.createElement(name), attributes)
      for (const event of ['load', 'error']) element.addEventListener(event, () => resolve(event))
      document.body.append(element)
    })
  const name = (error) => error.name
  return {
    fetched: await fetch(url).then(() => 'read', name),
    blind: await fetch(url, { mode: 'no-cors' }).then(() => 'read', name),
    imported: await import(url).then(() => 'read', name),
    image: await load('img', { src: url }),
    script: await load('script', { src: url }),
    style: await load('link', { rel: 'stylesheet', href: url }),
    frame: await load('iframe', { src: url }),
    object: await load('object', { data: url }),
  }
}

/** Params that are no params, or that do something when they are read. */
const oddParams = {
  cyclic() {
    const params = []
    params.push(params)
    return params
  },
  'with a bigint': () => [1n],
  'with a function': () => [() => 1],
  'with a getter that throws': () => [Object.defineProperty({}, 'x', { enumerable: true, get: fail })],
  'with a toJSON that throws': () => [{ toJSON: fail }],
  'that become a string': () => ({ toJSON: () => 'text' }),
  'behind a proxy that throws': () => new Proxy([], { get: fail, ownKeys: fail, getOwnPropertyDescriptor: fail }),
  'behind a revoked proxy': () => {
    const { proxy, revoke } = Proxy.revocable([], {})
    revoke()
    return proxy
  },
  'that would pollute a prototype': () =>
    JSON.parse('{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}'),
  'in an array, that would pollute a prototype': () => [JSON.parse('{"__proto__":{"polluted":1}}')],
  'nested 200 times': () => nest(200),
  'nested 1000 times': () => nest(1000),
  'nested 3000 times': () => nest(3000),
  'nested 200,000 times': () => nest(200_000),
  'of more than 1 MiB': () => [`0x${'00'.repeat(600_000)}`, 'latest'],
  'of 30 MiB': () => ['x'.repeat(30 * 1024 * 1024)],
  'of a million entries': () => Array.from({ length: 1_000_000 }, () => 0),
}

function fail() {
  throw new Error('thrown by the page')
}

function nest(depth) {
  let value = []
  for (let level = 0; level < depth; level++) value = [value]
  return value
}

/** What `eth_getBalance` is answered with odd params, by both providers. */
function askOddly(kind) {
  const outcomes = [...providers.values()].map((provider) =>
    settle(provider.request({ method: 'eth_getBalance', params: oddParams[kind]() })),
  )
  return Promise.all(outcomes)
}

/** All that a page can compare with what it is without an extension. */
function fingerprint() {
  const scopes = { window, Object, Reflect, JSON, document, EventTarget: EventTarget.prototype, Event: Event.prototype }
  const functions = Object.entries(scopes).flatMap(([name, scope]) =>
    Object.entries(Object.getOwnPropertyDescriptors(scope))
      .filter(([key]) => key !== 'ethereum')
      .map(([key, { value, get }]) => `${name}.${key} ${stackOf(value ?? get)} ${String(value ?? get).slice(0, 200)}`),
  )
  return {
    functions,
    announced: [...providers.keys()],
    ethereum: String(Object.getOwnPropertyDescriptor(window, 'ethereum')?.value?.request),
    isOne: window.ethereum === providers.get('io.metamask'),
    chrome: Object.keys(globalThis.chrome ?? {}),
    page: document.documentElement.outerHTML,
    // In no order: what is asked for side by side comes as it likes.
    loaded: performance
      .getEntries()
      .map(({ name }) => name)
      .filter((name) => name.includes('://'))
      .sort(),
    listened: [...caught.listened],
    dispatched: [...caught.dispatched],
    ports: caught.ports.size,
    errors: [stackOf(() => null.x), stackOf(() => Object.defineProperty(1, 'x', {}))],
  }
}

function stackOf(called) {
  if (typeof called !== 'function' || !/^\(\) =>/.test(String(called))) return ''
  try {
    called()
  } catch (error) {
    return error.stack
  }
  return ''
}

Object.assign(globalThis, {
  evil: {
    ...{ ask, settle, providers, pushes, replies, addFrame, openOwn, forgeries, forge, useCaught, see, fingerprint },
    ...{ askOddly, oddParams: Object.keys(oddParams) },
  },
})
