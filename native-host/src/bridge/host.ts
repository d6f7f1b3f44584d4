/**
 * `nightjar host`: what a browser starts for each native-messaging port. It copies bytes between stdio and the daemon's
 * local socket, unread, as both carry the frames of shared/bridge; each direction waits for its reader. Where no daemon
 * listens it starts one. stdout carries frames and nothing else: first of all one of this process's own, which tells what it
 * sees of the machine as the browser's child, and is told again when that is another thing.
 *
 * It ends with the browser (end of stdin) or with the daemon (end of the socket); the extension then starts another.
 */
import type { Socket } from 'node:net'
import type { Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type BridgeEventMessage, encodeFrames, type SystemProxy } from '@nightjar/shared/bridge'
import { asNightjarError, NightjarError } from '@nightjar/shared/errors'
import { type Clock, minute, second, within } from '@nightjar/shared/runtime'
import { Between } from './between.ts'
import { connectTo } from './connect.ts'

export interface HostContext {
  readonly input: Readable
  readonly output: Writable
  readonly clock: Clock
  /** Path of the local socket. @throws NightjarError where it must not be used */
  socket(): Promise<string>
  /** Starts a daemon that outlives this process; resolves once it serves. @throws NightjarError why it does not */
  launch(): Promise<void>
  /** The proxy that the machine gives the browser. Never rejects. */
  systemProxy(): Promise<SystemProxy | null>
}

/** More than the daemon waits for a network document before it serves without a fresh one (10 s). */
const launchTimeout = 15 * second
/** How often the machine is looked at again. */
const lookEvery = 1 * minute

/** @returns the exit code */
export async function runHost(context: HostContext): Promise<number> {
  const told = tellProxy(context)
  try {
    const socket = await reachDaemon(context)
    await copy(socket, context, await told)
    return 0
  } catch (error) {
    const { code, detail } = asNightjarError(error)
    await told
    await send(context.output, { event: 'failed', code, ...(detail === undefined ? {} : { detail }) })
    return 1
  } finally {
    context.input.destroy()
  }
}

async function tellProxy({ systemProxy, output }: HostContext): Promise<BridgeEventMessage> {
  const event = { event: 'browser', systemProxy: await systemProxy() } as const
  // Not awaited: it stands before all that is written from now on, and a browser that reads nothing is not waited for.
  void send(output, event)
  return event
}

/** Looks at the machine now and then, and tells what changed since `told`. Returns what ends it. */
function watchProxy({ systemProxy, clock }: HostContext, told: BridgeEventMessage, between: Between): () => void {
  let last = JSON.stringify(told)
  const look = async () => {
    const event = { event: 'browser', systemProxy: await systemProxy() } as const
    if (between.destroyed) return
    const now = JSON.stringify(event)
    if (now !== last) between.put(event)
    last = now
    timer = clock.after(lookEvery, look)
  }
  let timer = clock.after(lookEvery, look)
  return () => {
    timer.cancel()
    between.destroy()
  }
}

async function reachDaemon({ socket, launch, clock }: HostContext): Promise<Socket> {
  const path = await socket()
  const running = await connectTo(path)
  if (running !== undefined) return running
  const failure = await within(clock, launchTimeout, launch(), unready).then(
    () => undefined,
    (error: unknown) => asNightjarError(error),
  )
  // Even after a failure: another host may have started one at the same moment, for which ours gave way.
  const started = await connectTo(path)
  if (started === undefined) throw failure ?? new NightjarError('daemon-failed', { detail: 'it ended at once' })
  return started
}

function unready(): NightjarError {
  return new NightjarError('daemon-failed', { detail: `it does not serve after ${launchTimeout / second} seconds` })
}

/** Until one side ends, however it ends: neither could be told of the other's error. */
async function copy(socket: Socket, context: HostContext, told: BridgeEventMessage): Promise<void> {
  const { input, output } = context
  const ended = () => undefined
  const between = new Between()
  const down = pipeline(socket, between, output, { end: false }).catch(ended)
  const up = pipeline(input, socket)
    .catch(ended)
    // Where the daemon went first, what it said last is still on its way down.
    .then(() => (input.readableEnded ? undefined : down))
  const stopWatching = watchProxy(context, told, between)
  await Promise.race([up, down])
  stopWatching()
  socket.destroy()
}

/** Resolves once the browser has it, or is gone. */
function send(output: Writable, event: BridgeEventMessage): Promise<void> {
  return new Promise((resolve) => {
    output.once('error', () => resolve())
    output.write(Buffer.concat(encodeFrames(event)), () => resolve())
  })
}
