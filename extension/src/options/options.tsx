/** The options page: what can be set, and what has to be known about the rest. */
import { useEffect, useState } from 'preact/hooks'
import type { Settings, Snapshot, UiCommand } from '../messages/ui.ts'
import type { SaveAnswer } from '../ui/connection.ts'
import { pages } from '../ui/pages.ts'
import { Sky } from '../ui/sky.tsx'
import { About } from './about.tsx'
import { AccountFields } from './accountFields.tsx'
import { type Draft, fromDraft, isChanged, lacksSites, toDraft } from './draft.ts'
import { DirectoryFields, SitesFields, WalletFields } from './fields.tsx'
import { Leaks } from './leaks.tsx'
import { Shield } from './shield.tsx'
import { options as texts } from './texts.ts'

interface OptionsProps {
  readonly snapshot?: Snapshot | undefined
  readonly answer?: SaveAnswer | undefined
  readonly send: (command: UiCommand) => void
}

export function Options({ snapshot, answer, send }: OptionsProps) {
  return (
    <div class="page">
      <Sky moon={{ lit: 1 }} headline={texts.title} action={<SetupLink />} />
      <main class="body">
        {snapshot === undefined ? (
          <div class="late" aria-busy="true">
            <div class="bone" />
            <div class="bone" />
          </div>
        ) : (
          <>
            <Shield snapshot={snapshot} send={send} />
            <Leaks snapshot={snapshot} send={send} />
            <SettingsForm snapshot={snapshot} answer={answer} send={send} />
          </>
        )}
        <About snapshot={snapshot} />
      </main>
    </div>
  )
}

function SetupLink() {
  return (
    <a class="settings-link" href={pages.setup}>
      {texts.setup}
    </a>
  )
}

interface FormProps {
  readonly snapshot: Snapshot
  readonly answer: SaveAnswer | undefined
  readonly send: (command: UiCommand) => void
}

function SettingsForm({ snapshot, answer, send }: FormProps) {
  const { settings } = snapshot
  // Only what was typed is kept, so that the rest follows what the background says.
  const [edits, setEdits] = useState<Partial<Draft>>({})
  const [overtaken, setOvertaken] = useState<SaveAnswer>()
  const heard = answer === overtaken ? undefined : answer
  useEffect(() => {
    if (answer?.saved === true) setEdits({})
    if (answer?.saved === false) document.querySelector<HTMLElement>('[aria-invalid=true]')?.focus()
  }, [answer])

  const draft = { ...toDraft(settings), ...edits }
  const changed = isChanged(draft, settings)
  const refused = heard?.saved === false ? heard : undefined
  const refusal = (field: keyof Settings) => (refused?.field === field ? refused.reason : undefined)

  function edit(change: Partial<Draft>) {
    setEdits({ ...edits, ...change })
    setOvertaken(answer)
  }

  function resetDirectory() {
    const { keys: _, threshold: __, ...others } = edits
    setEdits(others)
    setOvertaken(answer)
    send({ command: 'reset-directory' })
  }

  function submit(event: Event) {
    event.preventDefault()
    if (lacksSites(draft)) return
    send({ command: 'save', settings: fromDraft(draft) })
  }

  return (
    <form onSubmit={submit} noValidate>
      <WalletFields draft={draft} edit={edit} refusal={refusal('wallet')} />
      <SitesFields draft={draft} edit={edit} refusal={lacksSites(draft) ? texts.sites.none : refusal('sites')} />
      <AccountFields draft={draft} edit={edit} refusal={refusal('accounts')} />
      <DirectoryFields
        draft={draft}
        edit={edit}
        refusal={refusal('directory')}
        builtIn={settings.directoryIsBuiltIn}
        onReset={resetDirectory}
      />
      <div class={changed ? 'save-bar save-bar-needed' : 'save-bar'}>
        <p role="status" class={refused && 'refusal'}>
          {refused !== undefined ? texts.refused : changed ? texts.changed : heard?.saved === true && texts.saved}
        </p>
        <button type="button" disabled={!changed} onClick={() => setEdits({})}>
          {texts.discard}
        </button>
        <button type="submit" class="primary" disabled={!changed || lacksSites(draft)}>
          {texts.save}
        </button>
      </div>
    </form>
  )
}
