/** All ways in which a page may try to reach an address; each resolves with what it could read there. */
const done = (target, ...events) =>
  new Promise((resolve) => {
    for (const event of events) target.addEventListener(event, () => resolve(event), { once: true })
  })

const json = { 'content-type': 'application/json' }

/** For a frame or worker that has no more than its own text: it asks, and tells what it read. */
const asker = (url, body, tell) => `
  const tell = ${tell}
  fetch(${JSON.stringify(url)}, { method: 'POST', body: ${JSON.stringify(body)} })
    .then((response) => response.text())
    .then(tell, () => tell(''))
`

function element(name, attributes) {
  const made = Object.assign(document.createElement(name), attributes)
  const loaded = done(made, 'load', 'error')
  document.body.append(made)
  return loaded
}

function sendForm(url, body, target) {
  const form = Object.assign(document.createElement('form'), {
    method: 'post',
    enctype: 'text/plain',
    action: url,
    target,
  })
  // A form in plain text is name=value: together they are the body.
  form.append(Object.assign(document.createElement('input'), { name: `${body.slice(0, -1)},"x":"`, value: '"}' }))
  document.body.append(form)
  form.submit()
}

/** What a frame tells under the name `kind`. */
async function toldBy(kind, make) {
  const told = new Promise((resolve) =>
    addEventListener('message', ({ data }) => data?.[kind] !== undefined && resolve(data[kind])),
  )
  make()
  return told
}

const script = (text) => `<!doctype html><script>${text}</script>`

const ways = {
  fetch: async (url, body) => (await fetch(url, { method: 'POST', headers: json, body })).text(),
  'simple fetch': async (url, body) => (await fetch(url, { method: 'POST', body })).text(),
  'fetch without CORS': async (url, body) => (await fetch(url, { method: 'POST', mode: 'no-cors', body })).text(),
  'fetch with cookies': async (url) => (await fetch(url, { credentials: 'include' })).text(),
  'fetch to the local network': async (url, body) =>
    (await fetch(url, { method: 'POST', headers: json, body, targetAddressSpace: 'loopback' })).text(),

  async XMLHttpRequest(url, body) {
    const request = new XMLHttpRequest()
    request.open('POST', url)
    request.send(body)
    await done(request, 'loadend')
    return request.responseText
  },
  async 'synchronous XMLHttpRequest'(url, body) {
    const request = new XMLHttpRequest()
    request.open('POST', url, false)
    request.send(body)
    return request.responseText
  },
  async WebSocket(url, body) {
    const socket = new WebSocket(url.replace('http', 'ws'))
    const told = new Promise((resolve) => socket.addEventListener('message', ({ data }) => resolve(data)))
    socket.addEventListener('open', () => socket.send(body))
    return Promise.race([told, done(socket, 'close').then(() => '')])
  },
  async EventSource(url) {
    const source = new EventSource(url)
    const event = await done(source, 'message', 'error')
    source.close()
    return event === 'message' ? event : ''
  },
  async beacon(url, body) {
    navigator.sendBeacon(url, body)
    return ''
  },
  async 'form into a frame'(url, body) {
    const frame = evil.addFrame({ name: 'into' })
    const loaded = done(frame, 'load')
    sendForm(url, body, 'into')
    await loaded
    return frame.contentDocument?.body.innerText ?? ''
  },
  async frame(url) {
    const frame = evil.addFrame({ src: url })
    await done(frame, 'load')
    return frame.contentDocument?.body.innerText ?? ''
  },
  image: async (src) => ((await element('img', { src })) === 'load' ? 'an image' : ''),
  script: async (src) => ((await element('script', { src })) === 'load' ? 'a script' : ''),
  style: async (href) => ((await element('link', { rel: 'stylesheet', href })) === 'load' ? 'a style' : ''),
  'sandboxed frame': (url, body) =>
    toldBy('readInSandbox', () => {
      const text = asker(url, body, '(text) => parent.postMessage({ readInSandbox: text }, "*")')
      evil.addFrame({ sandbox: 'allow-scripts', srcdoc: script(text) })
    }),
  'frame of data': (url, body) =>
    toldBy('readInData', () => {
      const text = asker(url, body, '(text) => parent.postMessage({ readInData: text }, "*")')
      evil.addFrame({ src: `data:text/html,${encodeURIComponent(script(text))}` })
    }),
  worker: (url, body) =>
    new Promise((resolve) => {
      const text = asker(url, body, '(text) => postMessage(text)')
      const worker = new Worker(URL.createObjectURL(new Blob([text], { type: 'text/javascript' })))
      worker.onmessage = ({ data }) => resolve(data)
    }),
}

/** What `way` could read at `url`, or the kind of error that it ended with. */
async function reach(way, url, body) {
  try {
    return { read: await ways[way](url, body) }
  } catch (error) {
    return { error: error.name }
  }
}

Object.assign(evil, { reach, sendForm, ways: Object.keys(ways) })
