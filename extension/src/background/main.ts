import { nobleCrypto } from '@nightjar/shared/crypto/noble'
import browser from 'webextension-polyfill'
import content from '../content/content.iife.ts?script&iife'
import inpage from '../inpage/inpage.iife.ts?script&iife'

console.log(nobleCrypto.name)
void browser.scripting.unregisterContentScripts().then(() =>
  browser.scripting.registerContentScripts([
    {
      id: 'content',
      js: [content],
      matches: ['http://*/*', 'https://*/*'],
      runAt: 'document_start',
      allFrames: true,
      matchOriginAsFallback: true,
    },
    {
      id: 'inpage',
      js: [inpage],
      matches: ['http://*/*', 'https://*/*'],
      runAt: 'document_start',
      allFrames: true,
      matchOriginAsFallback: true,
      world: 'MAIN',
    },
  ] as never),
)
