import { describe, expect, test } from 'vitest'
import { senderOf } from '../testing/stage.ts'
import { frameOriginOf, type PageSender, topOriginOf } from './groups.ts'

const top = 'https://top.example/page'
const frame = 'https://frame.example/widget'

describe('the isolation group', () => {
  test.each<[string, PageSender, string | undefined]>([
    ['a page', senderOf('https://a.example'), 'https://a.example'],
    ['a page with a port', senderOf('http://127.0.0.1:5173'), 'http://127.0.0.1:5173'],
    [
      'a page whose tab is about to show another',
      { frameId: 0, url: frame, tab: { url: top } },
      'https://frame.example',
    ],
    ['a framed site', { frameId: 4, url: frame, tab: { url: top } }, 'https://top.example'],
    ['a frame of about:blank', { frameId: 4, url: 'about:blank', tab: { url: top } }, 'https://top.example'],
    ['a sandboxed frame', { frameId: 4, url: frame, origin: 'null', tab: { url: top } }, 'https://top.example'],
    ['a frame in a page that is not said', { frameId: 4, url: frame, tab: {} }, undefined],
    [
      'a frame in a page of the extension',
      { frameId: 4, url: frame, tab: { url: 'chrome-extension://abc/' } },
      undefined,
    ],
    [
      'what is shown',
      { frameId: 7, url: frame, documentLifecycle: 'active', tab: { url: top } },
      'https://top.example',
    ],
    ['what was left', { frameId: 0, url: frame, documentLifecycle: 'cached', tab: { url: top } }, undefined],
    ['what ends', { frameId: 0, url: frame, documentLifecycle: 'pending_deletion', tab: { url: top } }, undefined],
    ['what is prerendered', { frameId: 7, url: frame, documentLifecycle: 'prerender', tab: { url: top } }, undefined],
    ['a page of the extension', { frameId: 0, url: 'chrome-extension://abc/popup.html', tab: { url: top } }, undefined],
    ['a page on its own in about:blank', { frameId: 0, url: 'about:blank', tab: { url: 'about:blank' } }, undefined],
    ['a local file', { frameId: 0, url: 'file:///etc/passwd', tab: { url: 'file:///etc/passwd' } }, undefined],
    ['a data URL', { frameId: 0, url: 'data:text/html,x', tab: { url: 'data:text/html,x' } }, undefined],
    ['nonsense', { frameId: 0, url: 'nonsense', tab: { url: 'nonsense' } }, undefined],
    ['no tab', { url: top }, undefined],
    ['nothing', {}, undefined],
  ])('of %s', (_, sender, origin) => {
    expect(topOriginOf(sender)).toBe(origin)
  })
})

describe('the origin of a frame', () => {
  test.each<[PageSender, string | undefined]>([
    [{ url: frame, origin: 'https://frame.example' }, 'https://frame.example'],
    [{ url: 'about:blank', origin: 'https://frame.example' }, 'https://frame.example'],
    [{ url: frame }, 'https://frame.example'],
    [{ url: frame, origin: 'null' }, undefined],
    [{ url: 'about:blank' }, undefined],
    [{}, undefined],
  ])('of %j is %s', (sender, origin) => {
    expect(frameOriginOf(sender)).toBe(origin)
  })
})
