/** Both ends of a hop's streams, joined in memory: what one side sends reaches the other in a later turn, in order. */
import { type Accept, type Channel, layerCapacity, type Message, messageType, StreamMux } from '../circuit/index.ts'

export interface JoinedMuxes {
  readonly client: StreamMux
  readonly server: StreamMux
  /** Messages with data or of a stream's end that are on their way, and the most that ever were, both ways together. */
  readonly underWay: number
  readonly mostUnderWay: number
  /** Keeps everything on the way from now on, until `release`. */
  hold(): void
  release(): void
  /** As where a circuit ends: nothing passes any more, and both ends say so to their streams. */
  end(): void
}

export function joinMuxes(accept: Accept): JoinedMuxes {
  const queues = { forward: [] as Message[], backward: [] as Message[] }
  let isHeld = false
  let isScheduled = false
  let isOver = false
  let mostUnderWay = 0
  const underWay = () => queues.forward.length + queues.backward.length

  function deliver(): void {
    isScheduled = false
    if (isHeld) return
    for (const [queue, receiver] of [
      [queues.forward.splice(0), server],
      [queues.backward.splice(0), client],
    ] as const) {
      for (const message of queue) {
        if (isOver) return
        receiver.receive(message)
        // Data is valid during the call only.
        message.data.fill(0xdb)
      }
    }
  }

  function schedule(): void {
    if (isScheduled || isHeld) return
    isScheduled = true
    setImmediate(deliver)
  }

  function channel(queue: Message[]): Channel {
    return {
      capacity: layerCapacity(3),
      get writable() {
        return !isOver
      },
      send(type, stream, data) {
        if (isOver) return
        queue.push({ type, stream, data: Uint8Array.from(data) })
        if (type !== messageType.credit) mostUnderWay = Math.max(mostUnderWay, underWay())
        schedule()
      },
    }
  }

  const client = new StreamMux(channel(queues.forward))
  const server = new StreamMux(channel(queues.backward), accept)
  return {
    client,
    server,
    get underWay() {
      return underWay()
    },
    get mostUnderWay() {
      return mostUnderWay
    },
    hold() {
      isHeld = true
    },
    release() {
      isHeld = false
      schedule()
    },
    end() {
      isOver = true
      client.closeAll('link-lost')
      server.closeAll('link-lost')
    },
  }
}
