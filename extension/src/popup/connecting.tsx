import type { Snapshot, UiCommand } from '../messages/ui.ts'
import { progressOf } from '../ui/progress.ts'
import { Steps } from '../ui/steps.tsx'
import { actions } from '../ui/texts.ts'

interface ConnectingProps {
  readonly snapshot: Snapshot
  readonly send: (command: UiCommand) => void
}

export function Connecting({ snapshot, send }: ConnectingProps) {
  const { failed } = progressOf(snapshot.steps)
  return (
    <>
      <main class="body">
        <Steps steps={snapshot.steps} />
      </main>
      <footer class="actions">
        <button type="button" onClick={() => send({ command: 'cancel' })}>
          {actions.cancel}
        </button>
        {failed !== undefined && (
          <button type="button" class="primary" onClick={() => send({ command: 'retry' })}>
            {actions.retry}
          </button>
        )}
      </footer>
    </>
  )
}
