/** The page that opens after installation: what Nightjar does, what it needs, and what it does not do. */
import { useState } from 'preact/hooks'
import type { Snapshot, UiCommand } from '../messages/ui.ts'
import { Announcer } from '../ui/announcer.tsx'
import { CopyLine } from '../ui/copyLine.tsx'
import { CheckIcon, CrossIcon, DotsIcon } from '../ui/icons.tsx'
import { ProblemCard } from '../ui/problem.tsx'
import { type HostState, hostState, progressOf } from '../ui/progress.ts'
import { Sky } from '../ui/sky.tsx'
import { Steps } from '../ui/steps.tsx'
import { actions, commands, headlines, hostStates, notCovered, setup as texts } from '../ui/texts.ts'
import { type Browser, browserOf, browsers } from './browsers.ts'
import { WhoSees } from './whoSees.tsx'

interface FirstRunProps {
  readonly snapshot: Snapshot | undefined
  readonly send: (command: UiCommand) => void
}

export function FirstRun({ snapshot, send }: FirstRunProps) {
  return (
    <div class="page">
      <Sky moon={{ lit: 1 }} headline={texts.title} summary={texts.lead} />
      <main class="body">
        <section class="what" aria-label={texts.lead}>
          <div>
            {texts.sentences.map((sentence) => (
              <p key={sentence}>{sentence}</p>
            ))}
          </div>
          <WhoSees />
        </section>
        <section class="card" aria-labelledby="doors">
          <h2 id="doors">{texts.doorsTitle}</h2>
          <dl class="terms">
            {texts.doors.map(([name, what]) => (
              <div key={name}>
                <dt>{name}</dt>
                <dd>{what}</dd>
              </div>
            ))}
          </dl>
          <p class="more">{texts.doorsMore}</p>
        </section>
        <section class="card" aria-labelledby="install">
          <h2 id="install">{texts.installTitle}</h2>
          <Install />
          {snapshot !== undefined && <Host snapshot={snapshot} />}
        </section>
        <section class="card" aria-labelledby="connect">
          <h2 id="connect">{texts.connectTitle}</h2>
          {snapshot !== undefined && <Connect snapshot={snapshot} send={send} />}
        </section>
        <section class="card quiet" aria-labelledby="not-covered">
          <h2 id="not-covered">{notCovered.title}</h2>
          <ul>
            <li>{notCovered.unlisted}</li>
            <li>{notCovered.sites}</li>
            <li>{notCovered.accounts}</li>
            <li>{notCovered.timing}</li>
            <li>{notCovered.answers}</li>
          </ul>
        </section>
        <section class="notice" aria-labelledby="warning">
          <h2 id="warning">{texts.warningTitle}</h2>
          <p>{texts.warning}</p>
        </section>
      </main>
    </div>
  )
}

function Install() {
  const [browser, setBrowser] = useState<Browser>(guess)
  return (
    <>
      <p>{texts.install}</p>
      <fieldset class="choice">
        <legend class="unseen">{texts.browser}</legend>
        {(Object.keys(browsers) as Browser[]).map((each) => (
          <label key={each}>
            <input type="radio" name="browser" checked={each === browser} onChange={() => setBrowser(each)} />
            {browsers[each]}
          </label>
        ))}
      </fieldset>
      <CopyLine command={commands.install(browser)} />
    </>
  )
}

function guess(): Browser {
  // Not yet in TypeScript's DOM types.
  const { userAgentData } = navigator as Navigator & { userAgentData?: { brands: readonly { brand: string }[] } }
  return browserOf(userAgentData?.brands)
}

const hostIcons: Record<HostState, typeof CheckIcon> = {
  unchecked: DotsIcon,
  running: DotsIcon,
  failed: CrossIcon,
  answers: CheckIcon,
}

function Host({ snapshot }: { readonly snapshot: Snapshot }) {
  const state = hostState(snapshot)
  const Icon = hostIcons[state]
  return (
    <p class={`host host-${state}`} role="status">
      <Icon />
      <span>
        {state === 'answers' && snapshot.hostVersion !== undefined
          ? hostStates.version(snapshot.hostVersion)
          : hostStates[state]}
      </span>
    </p>
  )
}

function Connect({ snapshot, send }: { readonly snapshot: Snapshot; readonly send: (command: UiCommand) => void }) {
  if (snapshot.state === 'off')
    return (
      <>
        <p>{texts.connect}</p>
        <button type="button" class="primary big" onClick={() => send({ command: 'connect' })}>
          {actions.connect}
        </button>
      </>
    )
  if (snapshot.steps.some(({ state }) => state !== 'done')) {
    const { failed } = progressOf(snapshot.steps)
    return (
      <>
        <Steps steps={snapshot.steps} />
        <div class="actions">
          <button type="button" onClick={() => send({ command: 'cancel' })}>
            {actions.cancel}
          </button>
          {failed !== undefined && (
            <button type="button" class="primary" onClick={() => send({ command: 'retry' })}>
              {actions.retry}
            </button>
          )}
        </div>
      </>
    )
  }
  return (
    <>
      <Announcer text={headlines[snapshot.state]} />
      {snapshot.problem === undefined ? (
        <p class="host host-answers">
          <CheckIcon />
          <span>
            <strong>{headlines[snapshot.state]}.</strong> {texts.connected}
          </span>
        </p>
      ) : (
        <ProblemCard problem={snapshot.problem} onRetry={() => send({ command: 'retry' })} />
      )}
    </>
  )
}
