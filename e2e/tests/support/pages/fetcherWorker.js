/** A worker or service worker that fetches what it is told to, and says what it read. */
self.addEventListener('message', ({ data: url, ports: [port] }) => {
  const asked = fetch(url, { cache: 'no-store' }).then((response) => response.text())
  asked.catch((error) => `refused: ${error.name}`).then((text) => port.postMessage(text))
})
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()))
