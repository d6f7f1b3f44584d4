/**
 * A page's line to the background: the latest snapshot one way, commands the other, over one port. The browser stops a
 * service worker whenever it likes, which closes the port; it is then opened again, which starts the worker. What is
 * shown in between is the last snapshot, for as long as a fresh one may be on its way and no longer: nothing may call
 * itself private on old evidence.
 */
import { type Clock, millisecond, second, type Timer } from '@nightjar/shared/runtime'
import type { Snapshot, UiCommand, UiMessage } from '../messages/ui.ts'

/** What is needed of `runtime.Port`. */
export interface UiPort {
  postMessage(command: UiCommand): void
  readonly onMessage: { addListener(listener: (message: unknown) => void): void }
  readonly onDisconnect: { addListener(listener: () => void): void }
}

/** What the background answered to `save`. */
export type SaveAnswer = Exclude<UiMessage, { readonly snapshot: Snapshot }>

/** What a page shows. */
export interface View {
  /** Undefined until the background has told one. */
  readonly snapshot?: Snapshot | undefined
  readonly answer?: SaveAnswer | undefined
}

export interface Background {
  send(command: UiCommand): void
}

/** How long an old snapshot stands while the background starts again. */
const staleAfter = 2 * second
const firstRetry = 250 * millisecond
const longestRetry = 5 * second

export interface ConnectionInit {
  readonly connect: () => UiPort
  readonly clock: Pick<Clock, 'after'>
  readonly show: (view: View) => void
}

export function openConnection({ connect, clock, show }: ConnectionInit): Background {
  let view: View = {}
  let port: UiPort | undefined
  let retry = firstRetry
  const unsent: UiCommand[] = []

  function update(change: View): void {
    view = { ...view, ...change }
    show(view)
  }

  function open(): void {
    const opened = connect()
    port = opened
    let answered = false
    const stale: Timer = clock.after(staleAfter, () => update({ snapshot: undefined }))
    opened.onMessage.addListener((message) => {
      // From our own background, in the same build.
      const told = message as UiMessage
      answered = true
      stale.cancel()
      retry = firstRetry
      update('snapshot' in told ? { snapshot: told.snapshot } : { answer: told })
    })
    opened.onDisconnect.addListener(() => {
      port = undefined
      stale.cancel()
      // A port that closes unanswered means that the background cannot start: it is tried ever more slowly.
      if (answered) return open()
      update({ snapshot: undefined })
      clock.after(retry, open)
      retry = Math.min(2 * retry, longestRetry)
    })
    for (const command of unsent.splice(0)) opened.postMessage(command)
  }

  show(view)
  open()
  return {
    send(command) {
      if (port === undefined) unsent.push(command)
      else port.postMessage(command)
    },
  }
}
