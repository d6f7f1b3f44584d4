/** The settings' fields. Whether a value will do is decided by the background; its reason stands beside the field. */
import type { ComponentChildren } from 'preact'
import { metaMaskId } from '../ui/texts.ts'
import type { Draft } from './draft.ts'
import { options as texts } from './texts.ts'

export interface FieldsProps {
  readonly draft: Draft
  readonly edit: (change: Partial<Draft>) => void
  /** Why the background refused the field. */
  readonly refusal: string | undefined
}

export function WalletFields({ draft, edit, refusal }: FieldsProps) {
  return (
    <Section id="wallet" title={texts.wallet.title} hint={texts.wallet.hint}>
      <label for="wallet-id">{texts.wallet.label}</label>
      <div class="row">
        <input
          id="wallet-id"
          class="mono"
          spellcheck={false}
          autocomplete="off"
          value={draft.wallet}
          onInput={({ currentTarget }) => edit({ wallet: currentTarget.value })}
          {...describedBy('wallet', refusal)}
        />
        <button type="button" disabled={draft.wallet === metaMaskId} onClick={() => edit({ wallet: metaMaskId })}>
          {texts.wallet.reset}
        </button>
      </div>
      <Refusal id="wallet" reason={refusal} />
    </Section>
  )
}

export function SitesFields({ draft, edit, refusal }: FieldsProps) {
  return (
    <Section id="sites" title={texts.sites.title} hint={texts.sites.hint}>
      <fieldset class="choice">
        <legend class="unseen">{texts.sites.title}</legend>
        {[false, true].map((onlySome) => (
          <label key={String(onlySome)}>
            <input
              type="radio"
              name="sites"
              checked={draft.onlySome === onlySome}
              onChange={() => edit({ onlySome })}
            />
            {onlySome ? texts.sites.some : texts.sites.all}
          </label>
        ))}
      </fieldset>
      {draft.onlySome && (
        <>
          <label for="sites-list">{texts.sites.label}</label>
          <textarea
            id="sites-list"
            class="mono"
            rows={3}
            spellcheck={false}
            placeholder={texts.sites.example}
            value={draft.sites}
            onInput={({ currentTarget }) => edit({ sites: currentTarget.value })}
            {...describedBy('sites', refusal)}
          />
        </>
      )}
      <Refusal id="sites" reason={refusal} />
    </Section>
  )
}

interface DirectoryProps extends FieldsProps {
  readonly builtIn: boolean
  readonly onReset: () => void
}

export function DirectoryFields({ draft, edit, refusal, builtIn, onReset }: DirectoryProps) {
  const { title, hint, keys, threshold, reset } = texts.directory
  return (
    <Section id="directory" title={title} hint={hint} badge={builtIn ? texts.directory.builtIn : texts.directory.own}>
      <label for="directory-keys">{keys}</label>
      <textarea
        id="directory-keys"
        class="mono"
        rows={3}
        spellcheck={false}
        value={draft.keys}
        onInput={({ currentTarget }) => edit({ keys: currentTarget.value })}
        {...describedBy('directory', refusal)}
      />
      <Refusal id="directory" reason={refusal} />
      <div class="row row-apart">
        <span class="row">
          <label for="directory-threshold">{threshold}</label>
          <input
            id="directory-threshold"
            class="short"
            type="number"
            min={1}
            value={draft.threshold}
            onInput={({ currentTarget }) => edit({ threshold: currentTarget.value })}
          />
        </span>
        <button type="button" disabled={builtIn} onClick={onReset}>
          {reset}
        </button>
      </div>
    </Section>
  )
}

interface SectionProps {
  readonly id: string
  readonly title: string
  readonly hint: string
  readonly badge?: string
  readonly children: ComponentChildren
}

export function Section({ id, title, hint, badge, children }: SectionProps) {
  return (
    <section class="card" aria-labelledby={`${id}-title`}>
      <h2 id={`${id}-title`}>
        {title} {badge !== undefined && <span class="badge">{badge}</span>}
      </h2>
      <p class="hint" id={`${id}-hint`}>
        {hint}
      </p>
      {children}
    </section>
  )
}

export function describedBy(id: string, refusal: string | undefined) {
  return refusal === undefined
    ? { 'aria-describedby': `${id}-hint` }
    : { 'aria-describedby': `${id}-refusal ${id}-hint`, 'aria-invalid': true }
}

export function Refusal({ id, reason }: { readonly id: string; readonly reason: string | undefined }) {
  return reason === undefined ? null : (
    <p class="refusal" id={`${id}-refusal`}>
      {reason}
    </p>
  )
}
