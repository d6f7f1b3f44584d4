/** Driven by tests, which evaluate in this service worker. */
globalThis.take = (port) =>
  chrome.proxy.settings.set({
    value: { mode: 'fixed_servers', rules: { singleProxy: { scheme: 'http', host: '127.0.0.1', port } } },
  })
globalThis.letGo = () => chrome.proxy.settings.clear({})
