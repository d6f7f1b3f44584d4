/** How accounts are kept apart, and what each choice costs. */

import { limits } from '@nightjar/shared/limits'
import { second } from '@nightjar/shared/runtime'
import { describedBy, type FieldsProps, Refusal, Section } from './fields.tsx'
import { options } from './texts.ts'

const { accounts: texts } = options

export function AccountFields({ draft, edit, refusal }: FieldsProps) {
  return (
    <Section id="accounts" title={texts.title} hint={texts.hint}>
      <div class="weighed">
        <label>
          <input
            id="accounts-apart"
            type="checkbox"
            checked={draft.apart}
            onChange={({ currentTarget }) => edit({ apart: currentTarget.checked })}
          />
          <span>
            {texts.apart} <span class="caption">{texts.apartCost}</span>
          </span>
        </label>
      </div>
      <fieldset class="weighed">
        <legend>{texts.linking}</legend>
        {(['refuse', 'alone'] as const).map((linking) => (
          <label key={linking}>
            <input
              type="radio"
              name="linking"
              value={linking}
              checked={draft.linking === linking}
              onChange={() => edit({ linking })}
            />
            <span>
              {texts.linkings[linking].name} <span class="caption">{texts.linkings[linking].cost}</span>
            </span>
          </label>
        ))}
      </fieldset>
      <div class="row">
        <label for="accounts-freshness">{texts.freshness}</label>
        <input
          id="accounts-freshness"
          class="short"
          type="number"
          min={1}
          max={limits.watchDelay / second}
          value={draft.freshness}
          onInput={({ currentTarget }) => edit({ freshness: currentTarget.value })}
          {...describedBy('accounts', refusal)}
        />
      </div>
      <Refusal id="accounts" reason={refusal} />
      <p class="hint">{texts.freshnessCost}</p>
      <div class="weighed">
        <label>
          <input
            id="accounts-compare"
            type="checkbox"
            checked={draft.compareCalls}
            onChange={({ currentTarget }) => edit({ compareCalls: currentTarget.checked })}
          />
          <span>
            {texts.compare} <span class="caption">{texts.compareCost}</span>
          </span>
        </label>
      </div>
    </Section>
  )
}
