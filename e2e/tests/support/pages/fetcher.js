/** All ways in which a page reaches a host, each resolving with what it read, or with the name of its error. */
const settle = (asked) => asked.catch((error) => `refused: ${error.name}`)

const textOf = async (url) => (await fetch(url, { cache: 'no-store' })).text()

/** The first message back from a worker-like `target` that is told to fetch `url`. */
function askWorker(target, url) {
  const { port1, port2 } = new MessageChannel()
  const told = new Promise((resolve) => {
    port1.onmessage = ({ data }) => resolve(data)
  })
  target.postMessage(url, [port2])
  return told
}

const fetchers = {
  page: (url) => settle(textOf(url)),

  worker: (url) => askWorker(new Worker('fetcherWorker.js'), url),

  blobWorker(url) {
    const script = new URL('fetcherWorker.js', location.href)
    const blob = new Blob([`importScripts(${JSON.stringify(script.href)})`], { type: 'text/javascript' })
    return askWorker(new Worker(URL.createObjectURL(blob)), url)
  },

  async serviceWorker(url) {
    const { active, installing, waiting } = await navigator.serviceWorker.register('fetcherWorker.js')
    await navigator.serviceWorker.ready
    return askWorker(active ?? installing ?? waiting, url)
  },

  /** Nothing comes back: the server has to be asked. */
  beacon: async (url) => (navigator.sendBeacon(url, 'beacon') ? 'sent' : 'refused'),

  image: (src) =>
    new Promise((resolve) => {
      const image = new Image()
      image.onload = () => resolve('loaded')
      image.onerror = () => resolve('refused')
      image.src = src
    }),

  frame(src) {
    const frame = Object.assign(document.createElement('iframe'), { src })
    const loaded = new Promise((resolve) => frame.addEventListener('load', () => resolve('loaded')))
    document.body.append(frame)
    return loaded
  },

  webSocket: (url) =>
    new Promise((resolve) => {
      const socket = new WebSocket(url.replace('https:', 'wss:'))
      socket.onopen = () => socket.send('echo')
      socket.onmessage = ({ data }) => resolve(data)
      socket.onerror = () => resolve('refused')
    }),
}

Object.assign(globalThis, { fetchers })
