/** A stage on which the shield is looked at, in either browser. */
import { runInNewContext } from 'node:vm'
import { hostList } from '@nightjar/shared/shield'
import { turn } from '@nightjar/shared/testing'
import { expect } from 'vitest'
import { createNetwork } from './network.ts'
import { agreed, type Begun, type BrowserKind, Stage } from './stage.ts'

const network = await createNetwork({ one: [1] })

export const listed = hostList[0]?.suffix ?? ''
/** Where the scripted daemon listens, and where nobody does. */
export const there = { port: 41000, sinkPort: 41001 }
export const discard = 9

/** Lets the settings settle: each change of them is asked for, made and looked at. */
export async function settle(): Promise<void> {
  for (let round = 0; round < 5; round++) await turn()
}

export interface Beginning extends Begun {
  readonly browser?: BrowserKind
  /** Before the background starts. */
  change?(stage: Stage): void
}

export async function begin({ browser, change, ...begun }: Beginning = {}): Promise<Stage> {
  const stage = await Stage.set(network, { wallet: agreed(1), ...begun }, browser)
  change?.(stage)
  await stage.start()
  await settle()
  return stage
}

/** Private. */
export async function on(beginning: Beginning = {}): Promise<Stage> {
  const stage = await begin({ enabled: true, ...beginning })
  expect(stage.snapshot.state).toBe('private')
  return stage
}

export const shieldOf = ({ snapshot }: Stage) => snapshot.shield.state

/** Chromium's script that is in force, if it is ours. */
export function scriptOf({ proxy }: Stage): string | undefined {
  return proxy.heldBy === undefined ? proxy.ours?.pacScript?.data : undefined
}

/** The port of 127.0.0.1 that the browser sends `url` to; `direct` where that is not up to us, `waits` until it is said. */
export function wayOf(stage: Stage, url: string): number | 'direct' | 'waits' {
  const asked = stage.proxyRequests.ask(url)
  if (asked === 'waits' && stage.browser === 'firefox') return 'waits'
  if (Array.isArray(asked)) return asked[0].port
  const script = scriptOf(stage)
  if (script === undefined) return 'direct'
  const answer: unknown = runInNewContext(`${script}\nFindProxyForURL(url, host)`, { url, host: new URL(url).hostname })
  const port = /^SOCKS5 127\.0\.0\.1:(\d+)$/.exec(String(answer))?.[1]
  return port === undefined ? 'direct' : Number(port)
}

/** Where a listed host is sent, shielded and blocked. */
export const waysOf = (stage: Stage) => ['https', 'http'].map((scheme) => wayOf(stage, `${scheme}://a.${listed}/`))
