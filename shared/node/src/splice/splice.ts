/**
 * Joins a TCP socket with a stream of a circuit, the same code at both ends: the exit (socket to the host) and the daemon
 * (socket from the browser). What comes on one side leaves on the other, in both directions:
 *
 *     stream END done   ⇄  FIN                       each direction ends by itself; sockets need `allowHalfOpen`
 *     stream END other  →  RST
 *     stream END connection-reset  ←  RST, or a socket that is gone before both directions have ended
 *     stream END idle, RST         nothing moved in either direction for `idleAfter`; once one has ended, for a minute
 *
 *     const joined = splice({ stream: () => stream, clock, idleAfter, … })
 *     const stream = mux.open(tcpService, encodeTarget(target), joined.handler, …)        or returned by an Accept
 *     joined.start(socket)                            once there is a socket to join, and the other end has said yes
 *
 * Before `start` the socket, if there is one, is its owner's, and nothing is read from it here; what comes from the stream
 * waits, at most a stream's window. After it both belong to the splice.
 *
 * Memory is bounded both ways: the socket is read only when the stream has sent what was read before, and the stream gets
 * its credit back only when the socket has taken the data. What comes from the stream in one turn of the event loop, or
 * while the socket is busy, leaves in one write.
 */
import type { Socket } from 'node:net'
import type { Budget, Stream, StreamHandler } from '@nightjar/shared/circuit'
import type { ErrorCode } from '@nightjar/shared/errors'
import { limits } from '@nightjar/shared/limits'
import type { Clock, Timer } from '@nightjar/shared/runtime'

export interface SpliceOptions {
  /** The stream, known at the latest when something comes on it or `start` is called. */
  stream(): Stream
  readonly clock: Clock
  /** Milliseconds without a byte in either direction after which it ends with `idle`, from `start` on. */
  readonly idleAfter: number
  /** Bytes that all splices with this budget may still move, both directions together; then they end with `limit-reached`. */
  readonly budget?: Budget
  /** The other end of the stream has its connection. */
  onConnected?(): void
  /**
   * Told once when it is over: `done` where both directions ended well, else why. Before `start` the owner then has to
   * deal with its socket; afterwards that is closed already.
   */
  onEnd?(code: ErrorCode): void
}

export interface Splice {
  readonly handler: StreamHandler
  /** Joins `socket`, which is connected. Does nothing but close it where the stream is over already. */
  start(socket: Socket): void
  /** Ends it from this side, in both directions; `code` is not `done`. Does nothing where it is over already. */
  end(code: ErrorCode): void
  /** When the last byte moved, or it was started; 0 before. */
  readonly lastMoved: number
  /** Bytes that went from the socket into the stream, and from the stream into the socket. */
  readonly sent: number
  readonly received: number
}

const nothing = Buffer.alloc(0)

export function splice(options: SpliceOptions): Splice {
  const { clock, idleAfter, budget } = options
  let socket: Socket | undefined
  let sent = 0
  let received = 0
  let isOver = false
  let lastMoved = 0
  let idleTimer: Timer | undefined

  /** What has come from the stream and is not written yet: bytes, and the cells they came in. */
  let gathered = nothing
  let length = 0
  let cells = 0
  /** Size of the last batch, as a guess at the next. */
  let lastLength = 0
  /** Cells of the batch that the socket is taking. */
  let cellsInWrite = 0
  let isFlushScheduled = false
  let streamEnded = false
  let socketEnded = false
  /** Whether the stream has sent all that was read. */
  let isDrained = true

  const handler: StreamHandler = {
    onConnected: () => options.onConnected?.(),

    onData(data) {
      cells += 1
      if (isOver) return giveBack()
      if (!spend(data.length)) return
      if (length + data.length > gathered.length) grow(length + data.length)
      gathered.set(data, length)
      length += data.length
      scheduleFlush()
    },

    onDrained() {
      isDrained = true
      if (!isOver) socket?.resume()
    },

    onEnd(code) {
      if (isOver) return
      if (code !== 'done') return finish(code)
      streamEnded = true
      watchAnew()
      scheduleFlush()
    },
  }

  function start(joined: Socket): void {
    if (isOver) return void joined.destroy()
    socket = joined
    // The `close` that follows says all there is to say.
    joined.on('error', () => {})
    joined.on('close', onSocketClosed)
    joined.on('end', onSocketEnded)
    if (joined.destroyed) return onSocketClosed()
    // Writes are gathered here already.
    joined.setNoDelay(true)
    if (joined.readableEnded) onSocketEnded()
    // Its owner may have paused it.
    else joined.on('data', onSocketData).resume()
    watchAnew()
    flush()
  }

  function onSocketData(data: Buffer): void {
    if (isOver || !spend(data.length)) return
    sent += data.length
    lastMoved = clock.elapsed()
    isDrained = false
    options.stream().send(data, false)
    if (!isDrained) socket?.pause()
  }

  function onSocketEnded(): void {
    if (socketEnded) return
    socketEnded = true
    watchAnew()
    options.stream().send(nothing, true)
  }

  function onSocketClosed(): void {
    // What is still queued in the stream of a direction that ended well leaves without us.
    const isComplete = socketEnded && streamEnded && length === 0 && cellsInWrite === 0
    end(isComplete ? 'done' : 'connection-reset')
  }

  function scheduleFlush(): void {
    if (isFlushScheduled) return
    isFlushScheduled = true
    setImmediate(() => {
      isFlushScheduled = false
      flush()
    })
  }

  /** Hands what has gathered to the socket, one batch at a time, and its end after the last. */
  function flush(): void {
    if (isOver || socket === undefined || cellsInWrite > 0) return
    if (length === 0 && cells === 0) {
      if (streamEnded) socket.end()
      return
    }
    const batch = gathered.subarray(0, length)
    lastLength = length
    cellsInWrite = cells
    gathered = nothing
    length = 0
    cells = 0
    socket.write(batch, () => onWritten(batch.length))
  }

  function onWritten(bytes: number): void {
    if (isOver) return
    received += bytes
    lastMoved = clock.elapsed()
    consume(cellsInWrite)
    cellsInWrite = 0
    flush()
  }

  function grow(needed: number): void {
    const larger = Buffer.allocUnsafe(Math.max(needed, 2 * gathered.length, lastLength))
    larger.set(gathered.subarray(0, length))
    gathered = larger
  }

  function spend(bytes: number): boolean {
    if (budget === undefined) return true
    budget.left -= bytes
    if (budget.left < 0) end('limit-reached')
    return budget.left >= 0
  }

  /** At the start and at the end of a direction, from when on there is less patience. */
  function watchAnew(): void {
    // Before `start` its owner has a time-out.
    if (isOver || socket === undefined) return
    lastMoved = clock.elapsed()
    idleTimer?.cancel()
    watch()
  }

  function watch(): void {
    const isHalfClosed = streamEnded || socketEnded
    const left =
      lastMoved + (isHalfClosed ? Math.min(limits.tcpHalfClosedIdle, idleAfter) : idleAfter) - clock.elapsed()
    if (left <= 0) return end('idle')
    idleTimer = clock.after(left, watch)
  }

  function end(code: ErrorCode): void {
    if (isOver) return
    if (code !== 'done') options.stream().reset(code)
    finish(code)
  }

  function finish(code: ErrorCode): void {
    isOver = true
    idleTimer?.cancel()
    giveBack()
    gathered = nothing
    length = 0
    if (code !== 'done') socket?.resetAndDestroy()
    options.onEnd?.(code)
  }

  /** The branch is owed credit for every cell, whatever becomes of the stream. */
  function giveBack(): void {
    consume(cells + cellsInWrite)
    cells = 0
    cellsInWrite = 0
  }

  function consume(count: number): void {
    const stream = options.stream()
    for (let n = 0; n < count; n++) stream.consumed()
  }

  return {
    handler,
    start,
    end,
    get lastMoved() {
      return lastMoved
    },
    get sent() {
      return sent
    },
    get received() {
      return received
    },
  }
}
