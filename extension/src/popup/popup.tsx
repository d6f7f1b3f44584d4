/** The popup: one panel for each state of things, under a sky that says which. */
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'
import type { Snapshot, UiCommand } from '../messages/ui.ts'
import { Announcer } from '../ui/announcer.tsx'
import { SettingsIcon } from '../ui/icons.tsx'
import { pages } from '../ui/pages.ts'
import { Sky } from '../ui/sky.tsx'
import { actions, summaries } from '../ui/texts.ts'
import { Connecting } from './connecting.tsx'
import { Leaving } from './leaving.tsx'
import { Off } from './off.tsx'
import { On } from './on.tsx'
import { type Panel, panelOf, skyOf } from './panel.ts'

interface PopupProps {
  readonly snapshot: Snapshot | undefined
  readonly send: (command: UiCommand) => void
}

export function Popup({ snapshot, send }: PopupProps) {
  const [leaving, setLeaving] = useState(false)
  const panel = panelOf(snapshot, leaving)
  const keepFocus = useFocusKept(panel)
  useEffect(() => {
    if (panel === 'off' || panel === 'connecting') setLeaving(false)
  }, [panel])

  if (snapshot === undefined) return <Loading />

  function leave() {
    // Where MetaMask does not ask us there is nothing to explain.
    if (snapshot?.wallet.state === 'none') send({ command: 'disconnect' })
    else setLeaving(true)
  }

  const sky = skyOf(snapshot, panel)
  return (
    <div class={`popup popup-${panel}`} ref={keepFocus}>
      <Sky {...sky} action={<SettingsLink />} />
      <Announcer text={`${sky.headline}. ${sky.summary}`} />
      {panel === 'off' && <Off snapshot={snapshot} send={send} />}
      {panel === 'connecting' && <Connecting snapshot={snapshot} send={send} />}
      {panel === 'on' && <On snapshot={snapshot} send={send} onLeave={leave} />}
      {panel === 'leaving' && <Leaving snapshot={snapshot} send={send} onStay={() => setLeaving(false)} />}
    </div>
  )
}

function SettingsLink() {
  return (
    <a class="settings-link" href={pages.options} target="_blank" rel="noreferrer">
      <SettingsIcon />
      {actions.settings}
    </a>
  )
}

/** Stands still and unseen for a moment, so that a snapshot that comes at once does not make it flash. */
function Loading() {
  return (
    <div class="popup popup-loading" aria-busy="true">
      <Sky moon={{ lit: 0 }} headline="" />
      <main class="body late">
        <p class="unseen">{summaries.loading}</p>
        <div class="bone" />
        <div class="bone" />
        <div class="bone bone-short" />
      </main>
    </div>
  )
}

/** When the button that had the focus goes away with its panel, the headline of the next one takes it. */
function useFocusKept(panel: Panel) {
  const root = useRef<HTMLDivElement>(null)
  const shown = useRef(panel)
  useLayoutEffect(() => {
    const before = shown.current
    shown.current = panel
    if (before === panel || before === 'loading') return
    if (document.activeElement === document.body) root.current?.querySelector('h1')?.focus()
  }, [panel])
  return root
}
