/** Private, degraded or blocked: the evidence, what is wrong with it if anything, and the way out. */
import { useEffect, useState } from 'preact/hooks'
import type { Snapshot, UiCommand } from '../messages/ui.ts'
import { formatAgo, formatCount } from '../ui/format.ts'
import { ProblemCard, Prose } from '../ui/problem.tsx'
import { progressOf } from '../ui/progress.ts'
import { Steps } from '../ui/steps.tsx'
import { actions, activity, stepsTexts, summaries, uncoveredTab as tabTexts } from '../ui/texts.ts'
import { useNow } from '../ui/useNow.ts'
import { Apart, Lies } from './apart.tsx'
import { Chains } from './chains.tsx'
import { Doors } from './doorList.tsx'
import { doorsOf } from './doors.ts'
import { Path } from './path.tsx'
import { RestartNotice, Shielded } from './shielded.tsx'
import { reloadTab, uncoveredTab } from './tab.ts'

interface OnProps {
  readonly snapshot: Snapshot
  readonly send: (command: UiCommand) => void
  readonly onLeave: () => void
}

export function On({ snapshot, send, onLeave }: OnProps) {
  const now = useNow()
  const { state, problem, lastError } = snapshot
  const { at, of, failed } = progressOf(snapshot.steps)
  return (
    <>
      <main class="body">
        {problem !== undefined && <ProblemCard problem={problem} onRetry={() => send({ command: 'retry' })} />}
        <Lies lies={snapshot.accounts.lies} now={now} />
        {snapshot.shield.restartAdvised && <RestartNotice onDismiss={() => send({ command: 'dismiss-restart' })} />}
        {state !== 'blocked' && <TabNotice chosenSites={snapshot.settings.sites.length > 0} />}
        <Doors doors={doorsOf(snapshot, now)} />
        <Apart accounts={snapshot.accounts} />
        {state !== 'blocked' && <Path trunks={snapshot.trunks} gateways={snapshot.gateways} />}
        <Shielded shield={snapshot.shield} />
        {failed !== undefined && (
          <details class="card" open={state === 'blocked'}>
            <summary>
              {stepsTexts.title} <span class="aside">{summaries.stopped(at, of)}</span>
            </summary>
            <Steps steps={snapshot.steps} bare />
          </details>
        )}
        {snapshot.chains.length > 0 && <Chains chains={snapshot.chains} />}
        {lastError !== undefined && (
          <p class="last-error">
            {activity.lastError} {formatAgo(lastError.at, now)}: <Prose text={lastError.sentence} />
          </p>
        )}
      </main>
      <footer class="actions">
        <p>{activity.today(formatCount(snapshot.requestsToday, 'request'))}</p>
        <button type="button" onClick={onLeave}>
          {actions.disconnect}
        </button>
      </footer>
    </>
  )
}

function TabNotice({ chosenSites }: { readonly chosenSites: boolean }) {
  const [tab, setTab] = useState<number>()
  useEffect(() => void uncoveredTab().then(setTab), [])
  if (tab === undefined) return null
  return (
    <section class="notice">
      <p>{chosenSites ? tabTexts.some : tabTexts.all}</p>
      <button type="button" onClick={() => void reloadTab(tab).then(() => setTab(undefined))}>
        {actions.reload}
      </button>
    </section>
  )
}
