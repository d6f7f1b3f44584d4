/** As much of a window as the scripts need: a target of events that has properties. */
import type { Definers } from '../globals.ts'

export class FakeWindow extends EventTarget {
  ethereum?: unknown
  web3?: unknown

  constructor() {
    super()
    // As on a bare window, where neither is there.
    Reflect.deleteProperty(this, 'ethereum')
    Reflect.deleteProperty(this, 'web3')
  }
}

/** What a wallet in this window calls to define properties. */
export function definers(): Definers {
  return { Object: { defineProperty: Object.defineProperty }, Reflect: { defineProperty: Reflect.defineProperty } }
}
