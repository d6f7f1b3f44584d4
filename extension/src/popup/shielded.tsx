/** What the shield did today, by category, and what is to be known about it. */
import type { ShieldView } from '../messages/ui.ts'
import { formatCount, formatNumber } from '../ui/format.ts'
import { pages } from '../ui/pages.ts'
import { Prose } from '../ui/problem.tsx'
import { categoryNames, restart, shielded as texts } from '../ui/texts.ts'

/** As many as may stand open without pushing the rest away. */
const unfolded = 3

export function Shielded({ shield }: { readonly shield: ShieldView }) {
  const counts = Object.entries(shield.today).sort(([, a], [, b]) => b.shielded - a.shielded)
  const sum = (key: 'shielded' | 'blocked') => counts.reduce((total, [, each]) => total + each[key], 0)
  const leaked = new Set(shield.leaks.map(({ host }) => host)).size
  return (
    <>
      {counts.length > 0 && (
        <details class="card shielded" open={counts.length <= unfolded}>
          <summary>
            {texts.title}{' '}
            <span class="aside">{texts.totals(formatNumber(sum('shielded')), formatNumber(sum('blocked')))}</span>
          </summary>
          <table>
            <thead>
              <tr>
                <th scope="col">
                  <span class="unseen">{texts.category}</span>
                </th>
                <th scope="col">{texts.shielded}</th>
                <th scope="col">{texts.blocked}</th>
              </tr>
            </thead>
            <tbody>
              {counts.map(([category, each]) => (
                <tr key={category}>
                  <th scope="row">{categoryNames[category] ?? category}</th>
                  <td>{formatNumber(each.shielded)}</td>
                  <td>{formatNumber(each.blocked)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </details>
      )}
      {shield.lastError !== undefined && (
        <p class="last-error">
          {texts.lastError} <Prose text={shield.lastError.sentence} />
        </p>
      )}
      {leaked > 0 && (
        <p class="last-error">
          {texts.leaks(formatCount(leaked, 'host'))}{' '}
          <a href={`${pages.options}#leaks`} target="_blank" rel="noreferrer">
            {texts.seeLeaks}
          </a>
        </p>
      )}
    </>
  )
}

export function RestartNotice({ onDismiss }: { readonly onDismiss: () => void }) {
  return (
    <section class="notice">
      <p>{restart.text}</p>
      <button type="button" onClick={onDismiss}>
        {restart.dismiss}
      </button>
    </section>
  )
}
