/** Whether the bridge works: starts the script as a browser would, says hello, and waits for the daemon's answer. */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'
import {
  type BridgeMessage,
  bridgeVersion,
  encodeFrames,
  FrameDecoder,
  parseFromDaemon,
  parseResult,
} from '@nightjar/shared/bridge'
import { asNightjarError, type ErrorCode, isErrorCode, NightjarError } from '@nightjar/shared/errors'
import { nightjarCodeOf, type RpcError } from '@nightjar/shared/rpc'
import { type Clock, second, within } from '@nightjar/shared/runtime'
import { placeVariables } from '../config.ts'

export interface CheckContext {
  readonly wrapper: string
  /** The extension that is to use it, as its browser names it. */
  readonly caller: string
  readonly version: string
  readonly clock: Clock
  readonly environment: NodeJS.ProcessEnv
}

export interface BridgeCheck {
  /** The script ran and spoke as it should. */
  readonly bridge: boolean
  /** The daemon's version, where it answered. */
  readonly daemon: string | null
  /** What is wrong where either is missing. */
  readonly code?: ErrorCode
  readonly detail?: string
}

/** More than the bridge itself waits for a daemon to start. */
const checkTimeout = 20 * second

export async function checkBridge(context: CheckContext): Promise<BridgeCheck> {
  const child = launch(context)
  const silent = () => new NightjarError('timed-out', { detail: 'the script says nothing' })
  try {
    return await within(context.clock, checkTimeout, answerOf(child, context.version), silent)
  } catch (error) {
    child.kill()
    const { code, detail } = asNightjarError(error)
    return { bridge: false, daemon: null, code, ...(detail === undefined ? {} : { detail }) }
  } finally {
    // Which ends it, as the end of the browser would.
    child.stdin.end()
  }
}

type Bridge = ChildProcessByStdio<Writable, Readable, null>

function launch({ wrapper, caller, environment }: CheckContext): Bridge {
  // What a browser may not know, the script has to.
  const unknown = new Set<string>(['NIGHTJAR_HOME', ...placeVariables])
  const env = Object.fromEntries(Object.entries(environment).filter(([name]) => !unknown.has(name)))
  const stdio = ['pipe', 'pipe', 'ignore'] as ['pipe', 'pipe', 'ignore']
  // Batch files are no programs of their own.
  return process.platform === 'win32'
    ? spawn(`"${wrapper}"`, [caller], { env, stdio, shell: true, windowsHide: true })
    : spawn(wrapper, [caller], { env, stdio })
}

/** @throws NightjarError where the bridge does not work */
function answerOf(child: Bridge, version: string): Promise<BridgeCheck> {
  return new Promise((resolve, reject) => {
    const decoder = new FrameDecoder((message) => {
      const check = checkIn(message)
      if (check !== undefined) resolve(check)
    })
    child.stdout.on('data', (bytes: Buffer) => {
      try {
        decoder.push(bytes)
      } catch (cause) {
        reject(new NightjarError('host-garbled', { cause }))
      }
    })
    child.once('error', (cause) => {
      const { code } = cause as NodeJS.ErrnoException
      reject(new NightjarError('host-exited', { detail: `the script cannot be started: ${code}`, cause }))
    })
    child.once('close', (code, signal) => {
      reject(new NightjarError('host-exited', { detail: `the script ended with ${signal ?? `exit code ${code}`}` }))
    })
    // A script that ends without reading is told of by its end.
    child.stdin.on('error', () => undefined)
    const hello: BridgeMessage = { id: 1, type: 'hello', bridge: bridgeVersion, version }
    child.stdin.write(Buffer.concat(encodeFrames(hello)))
  })
}

/** undefined for what is not about our question. */
function checkIn(message: unknown): BridgeCheck | undefined {
  const said = parseFromDaemon(message)
  if ('event' in said) {
    if (said.event !== 'failed') return undefined
    const { code, detail } = said
    return withoutDaemon(isErrorCode(code) ? code : undefined, detail)
  }
  if ('error' in said) return withoutDaemon(nightjarCodeOf(said.error as RpcError), undefined)
  const { bridge, version } = parseResult('hello', said.result)
  if (bridge === bridgeVersion) return { bridge: true, daemon: version }
  const detail = `a daemon of version ${version} still runs; end it with \`nightjar stop\``
  return withoutDaemon('host-outdated', detail)
}

/** @param code undefined where it is one of another version */
function withoutDaemon(code: ErrorCode = 'daemon-failed', detail: string | undefined): BridgeCheck {
  return { bridge: true, daemon: null, code, ...(detail === undefined ? {} : { detail }) }
}
