/** An exit to an Internet that is one server on loopback, and clients of it. */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { utf8 } from '@nightjar/shared/bytes'
import type { Stream } from '@nightjar/shared/circuit'
import type { ErrorCode } from '@nightjar/shared/errors'
import { second } from '@nightjar/shared/runtime'
import { categories } from '@nightjar/shared/shield'
import { FakeClock, type JoinedMuxes, joinMuxes, turn } from '@nightjar/shared/testing'
import { expect } from 'vitest'
import { connectBySystem } from '../connect.ts'
import { createExit, type Exit, type ExitOptions } from '../exit.ts'
import type { Resolved } from '../resolve.ts'

/** A listed host, and where its name leads. */
export const host = 'mainnet.infura.io'
export const address = '8.8.8.8'

/** What a client sees of one of its streams. */
export interface Asked {
  readonly stream: Stream
  readonly received: Buffer[]
  /** `connected`, or the code that it ended with before that. */
  readonly outcome: Promise<ErrorCode | 'connected'>
  readonly end: Promise<ErrorCode>
}

export class ExitStage {
  readonly clock = new FakeClock()
  /** Where each name leads; every address that is dialled leads to `server`. */
  names: Record<string, readonly string[]> = { [host]: [address], 'relay.example.org': ['9.9.9.8'] }
  readonly dialled: string[] = []
  /** What a socket says that it is connected to. */
  reported = (target: string): string => target
  resolved: Partial<Resolved> = {}
  /** Sends back what it gets. */
  readonly server: Server = createServer({ allowHalfOpen: true }, echo)
  readonly exit = this.open()
  readonly muxes = joinMuxes(this.exit.serve())

  static async set(): Promise<ExitStage> {
    const stage = new ExitStage()
    stage.server.listen(0, '127.0.0.1')
    await once(stage.server, 'listening')
    return stage
  }

  /** Nothing is left of it, timers neither. */
  async end(): Promise<void> {
    this.exit.close()
    this.muxes.end()
    await noneOpen(this.exit)
    expect(this.clock.pending).toBe(0)
    this.server.close()
    await once(this.server, 'close')
  }

  /** Another exit to the same Internet. */
  open(options: Partial<ExitOptions> = {}): Exit {
    const connect = connectBySystem(undefined)
    return createExit({
      policy: { categories: [...categories], without: [] },
      maxStreams: 1000,
      clock: this.clock,
      resolve: async (name) => {
        const addresses = this.names[name]
        if (addresses === undefined) throw new Error('ENOTFOUND')
        return { addresses, lifetime: 60 * second, ...this.resolved }
      },
      connect: async (target, _port, signal) => {
        this.dialled.push(target)
        const { port } = this.server.address() as AddressInfo
        const { socket } = await connect('127.0.0.1', port, signal)
        return { socket, remoteAddress: this.reported(target) }
      },
      own: () => ['9.9.9.9', 'relay.example.org'],
      ...options,
    })
  }

  ask(argument: string, options: { mux?: JoinedMuxes; service?: string; isFree?: boolean } = {}): Asked {
    const outcome = Promise.withResolvers<ErrorCode | 'connected'>()
    const end = Promise.withResolvers<ErrorCode>()
    const received: Buffer[] = []
    const stream = (options.mux ?? this.muxes).client.open(
      options.service ?? 'tcp',
      utf8(argument),
      {
        onConnected: () => outcome.resolve('connected'),
        onData(data) {
          received.push(Buffer.from(data))
          stream.consumed()
        },
        onEnd(code) {
          outcome.resolve(code)
          end.resolve(code)
        },
      },
      { data: new Uint8Array(0), end: false },
      { isFree: options.isFree ?? false },
    )
    return { stream, received, outcome: outcome.promise, end: end.promise }
  }

  /** How many streams ended with which code. */
  counted(): Record<string, number> {
    return Object.fromEntries(this.exit.counts.ended)
  }
}

function echo(socket: Socket): void {
  socket.on('error', () => {}).pipe(socket)
}

export async function noneOpen({ counts }: Exit): Promise<void> {
  while (counts.open > 0) await turn()
}
