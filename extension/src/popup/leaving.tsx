/** Asks whether to turn off, and says what becomes of MetaMask then. */
import type { ChainView, Snapshot, UiCommand } from '../messages/ui.ts'
import { actions, leaving } from '../ui/texts.ts'

interface LeavingProps {
  readonly snapshot: Snapshot
  readonly send: (command: UiCommand) => void
  readonly onStay: () => void
}

export function Leaving({ snapshot, send, onStay }: LeavingProps) {
  return (
    <>
      <main class="body">
        <p class="lead">{leaving.wallet}</p>
        <PutBack chains={snapshot.chains} />
      </main>
      <footer class="actions">
        <button type="button" onClick={onStay}>
          {actions.stay}
        </button>
        <button type="button" class="strong" onClick={() => send({ command: 'disconnect' })}>
          {actions.disconnect}
        </button>
      </footer>
    </>
  )
}

const ethereum = 1
const names = new Intl.ListFormat('en')

interface PutBackProps {
  /** Empty while off: the background does not know them then. */
  readonly chains: readonly ChainView[]
  readonly folded?: boolean
}

/** How MetaMask gets its own RPC URL back. */
export function PutBack({ chains, folded = false }: PutBackProps) {
  const others = chains.filter((chain) => chain.id !== ethereum && chain.wallet === 'agreed').map((chain) => chain.name)
  const how = (
    <>
      <ol class="numbered">
        {leaving.back.map((step) => (
          <li key={step}>{step}</li>
        ))}
      </ol>
      {others.length > 0 && <p>{leaving.others(names.format(others))}</p>}
      {chains.length === 0 && <p>{leaving.each}</p>}
    </>
  )
  if (folded)
    return (
      <details class="card">
        <summary>{leaving.backTitle}</summary>
        <p class="fold-lead">{leaving.wallet}</p>
        {how}
      </details>
    )
  return (
    <section class="card" aria-labelledby="put-back">
      <h2 id="put-back">{leaving.backTitle}</h2>
      {how}
    </section>
  )
}
