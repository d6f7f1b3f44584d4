/** The leak report: which pages asked which hosts past the shield. Seen only after the user allowed it. */
import type { Snapshot, UiCommand } from '../messages/ui.ts'
import { formatAgo, formatCount } from '../ui/format.ts'
import { useNow } from '../ui/useNow.ts'
import { allowWatching, forbidWatching } from './permission.ts'
import { options } from './texts.ts'

const { leaks: texts } = options

interface LeaksProps {
  readonly snapshot: Snapshot
  readonly send: (command: UiCommand) => void
}

export function Leaks({ snapshot, send }: LeaksProps) {
  const { watching, leaks } = snapshot.shield
  return (
    <section class="card" id="leaks" aria-labelledby="leaks-title">
      <h2 id="leaks-title">{texts.title}</h2>
      <p class="hint">{texts.hint}</p>
      {leaks.length > 0 && <Report snapshot={snapshot} send={send} />}
      {watching && leaks.length === 0 && <p>{texts.none}</p>}
      <div class="row row-apart">
        {watching ? (
          <>
            <button type="button" disabled={leaks.length === 0} onClick={() => send({ command: 'forget-leaks' })}>
              {texts.forget}
            </button>
            <button type="button" onClick={() => void forbidWatching()}>
              {texts.stop}
            </button>
          </>
        ) : (
          <>
            <span class="caption">{texts.permission}</span>
            <button type="button" onClick={() => void allowWatching()}>
              {texts.ask}
            </button>
          </>
        )}
      </div>
    </section>
  )
}

function Report({ snapshot, send }: LeaksProps) {
  const now = useNow()
  const { added } = snapshot.settings.shield
  return (
    <>
      <ul class="report">
        {snapshot.shield.leaks.toReversed().map(({ host, site, count, last }) => (
          <li key={`${host} ${site}`} class="host-row">
            <span>
              <span class="mono">{host}</span>
              <span class="caption">
                {texts.calls(site, formatCount(count, 'call'))}, {formatAgo(last, now)}
              </span>
            </span>
            <button
              type="button"
              class="small"
              disabled={added.includes(host)}
              aria-label={texts.blockHost(host)}
              onClick={() => send({ command: 'choose', hosts: [host], choice: 'block' })}
            >
              {added.includes(host) ? texts.blocked : texts.block}
            </button>
          </li>
        ))}
      </ul>
      <p class="hint">{texts.why}</p>
    </>
  )
}
