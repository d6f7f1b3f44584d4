/** What becomes of which host: the published list by category, to search and to choose from. Choices hold at once. */
import { type Category, categories, hostList } from '@nightjar/shared/shield'
import { useState } from 'preact/hooks'
import { type Choice, choiceIds, type ShieldCount, type Snapshot, type UiCommand } from '../messages/ui.ts'
import { formatCount, formatNumber } from '../ui/format.ts'
import { categoryNames, choiceNames } from '../ui/texts.ts'
import { options } from './texts.ts'

const { shield: texts } = options

interface ShieldProps {
  readonly snapshot: Snapshot
  readonly send: (command: UiCommand) => void
}

export function Shield({ snapshot, send }: ShieldProps) {
  const [query, setQuery] = useState('')
  const { choices, added } = snapshot.settings.shield
  const wanted = query.trim().toLowerCase()
  const groups = categories
    .map((category) => ({ category, hosts: hostsOf(category, wanted) }))
    .filter(({ hosts }) => hosts.length > 0)
  const choose = (hosts: readonly string[], choice: Choice) => send({ command: 'choose', hosts, choice })
  return (
    <section class="card" id="shield" aria-labelledby="shield-title">
      <h2 id="shield-title">{texts.title}</h2>
      <p class="hint">{texts.hint}</p>
      <p class="hint">{texts.incognito}</p>
      <input
        type="search"
        class="search"
        placeholder={texts.search}
        aria-label={texts.search}
        spellcheck={false}
        value={query}
        onInput={({ currentTarget }) => setQuery(currentTarget.value)}
      />
      {groups.length === 0 && <p class="hint">{texts.nothing}</p>}
      {groups.map(({ category, hosts }) => (
        <details key={category} class="hosts" open={wanted !== ''}>
          <summary>
            {categoryNames[category]} <span class="aside">{summaryOf(hosts, choices)}</span>
          </summary>
          <ul>
            {wanted === '' && (
              <li class="host-row host-row-all">
                <span>{texts.all(categoryNames[category] ?? category)}</span>
                <Choose
                  label={texts.all(categoryNames[category] ?? category)}
                  value={commonChoice(hosts, choices)}
                  onChoose={(choice) => choose(hosts, choice)}
                />
              </li>
            )}
            {hosts.map((host) => (
              <li key={host} class="host-row">
                <span>
                  <span class="mono">{host}</span>
                  <Today counts={snapshot.shield.hosts[host]} />
                </span>
                <Choose
                  label={texts.choiceFor(host)}
                  value={choices[host] ?? 'shield'}
                  onChoose={(choice) => choose([host], choice)}
                />
              </li>
            ))}
          </ul>
        </details>
      ))}
      {added.length > 0 && (
        <details class="hosts" open>
          <summary>
            {texts.added} <span class="aside">{formatCount(added.length, 'host')}</span>
          </summary>
          <p class="hint">{texts.addedHint}</p>
          <ul>
            {added.map((host) => (
              <li key={host} class="host-row">
                <span class="mono">{host}</span>
                <button type="button" class="small" onClick={() => choose([host], 'leave')}>
                  {texts.remove}
                </button>
              </li>
            ))}
          </ul>
        </details>
      )}
    </section>
  )
}

interface ChooseProps {
  readonly label: string
  /** Undefined where hosts differ. */
  readonly value: Choice | undefined
  readonly onChoose: (choice: Choice) => void
}

function Choose({ label, value, onChoose }: ChooseProps) {
  return (
    <select
      class={`choose choose-${value}`}
      aria-label={label}
      value={value ?? ''}
      onChange={({ currentTarget }) => onChoose(currentTarget.value as Choice)}
    >
      {value === undefined && (
        <option value="" disabled>
          {texts.mixed}
        </option>
      )}
      {choiceIds.map((choice) => (
        <option key={choice} value={choice}>
          {choiceNames[choice]}
        </option>
      ))}
    </select>
  )
}

function Today({ counts }: { readonly counts: (ShieldCount & { readonly lastError?: string }) | undefined }) {
  if (counts === undefined) return null
  return (
    <span class="caption" title={counts.lastError}>
      {texts.today(formatNumber(counts.shielded), formatNumber(counts.blocked))}
    </span>
  )
}

function hostsOf(category: Category, wanted: string): string[] {
  return hostList
    .filter((host) => host.category === category && host.suffix.includes(wanted))
    .map(({ suffix }) => suffix)
}

type Choices = Snapshot['settings']['shield']['choices']

function commonChoice(hosts: readonly string[], choices: Choices): Choice | undefined {
  const [first = 'shield', ...others] = new Set(hosts.map((host) => choices[host] ?? 'shield'))
  return others.length === 0 ? first : undefined
}

/** `42 hosts · 2 block · 1 leave alone` */
function summaryOf(hosts: readonly string[], choices: Choices): string {
  const changed = choiceIds.slice(1).flatMap((choice) => {
    const count = hosts.filter((host) => choices[host] === choice).length
    return count === 0 ? [] : [`${count} ${choiceNames[choice].toLowerCase()}`]
  })
  return [formatCount(hosts.length, 'host'), ...changed].join(' · ')
}
