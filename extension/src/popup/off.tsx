import type { Snapshot, UiCommand } from '../messages/ui.ts'
import { actions, notCovered, whatItDoes } from '../ui/texts.ts'
import { PutBack } from './leaving.tsx'

interface OffProps {
  readonly snapshot: Snapshot
  readonly send: (command: UiCommand) => void
}

export function Off({ snapshot, send }: OffProps) {
  return (
    <main class="body">
      <button type="button" class="primary big" onClick={() => send({ command: 'connect' })}>
        {actions.connect}
      </button>
      <p class="lead">{whatItDoes}</p>
      {snapshot.wallet.state !== 'none' && <PutBack chains={snapshot.chains} folded />}
      <section class="quiet" aria-labelledby="not-covered">
        <h2 id="not-covered">{notCovered.title}</h2>
        <ul>
          <li>{notCovered.unlisted}</li>
          <li>{notCovered.sites}</li>
        </ul>
      </section>
    </main>
  )
}
