/**
 * The local socket with the sessions on it. It is opened before anything else, because it is what keeps a second daemon
 * from starting; who asks before the daemon serves waits for that.
 */
import type { BridgeEventMessage } from '@nightjar/shared/bridge'
import { listenControl, type Session } from './server.ts'
import { BridgeSession, type SessionContext } from './session.ts'

export interface Bridge {
  /** From now on requests are answered. */
  serve(context: SessionContext): void
  /** To every extension. */
  tell(event: BridgeEventMessage): void
  close(): Promise<void>
}

/** @throws NightjarError `already-running`, `file-unusable` */
export async function openBridge(socket: string): Promise<Bridge> {
  const sessions = new Set<BridgeSession>()
  const { promise: serving, resolve: serve } = Promise.withResolvers<SessionContext>()

  function open(send: (event: BridgeEventMessage) => void): Session {
    let isClosed = false
    const opened = serving.then((context) => {
      const session = new BridgeSession(context, send)
      if (!isClosed) sessions.add(session)
      return session
    })
    return {
      handle: async (request) => (await opened).handle(request),
      close() {
        isClosed = true
        void opened.then((session) => {
          sessions.delete(session)
          session.close()
        })
      },
    }
  }

  const server = await listenControl(socket, open)
  return {
    serve,
    tell(event) {
      for (const session of sessions) session.tell(event)
    },
    close: () => server.close(),
  }
}
