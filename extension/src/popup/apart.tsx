/** How accounts are kept apart: what that costs, what could not be, how far answers are checked, and who was caught lying. */
import type { AccountsView, Linked } from '../messages/ui.ts'
import { formatAgo, formatCount, formatNumber } from '../ui/format.ts'
import { AlertIcon } from '../ui/icons.tsx'
import { apart as texts } from '../ui/texts.ts'

/** Gateways that are named; there is no more room. */
const named = 3

export function Apart({ accounts }: { readonly accounts: AccountsView }) {
  const { sites, wallet, linked, answers, disputes } = accounts
  const kinds = (['verified', 'compared', 'unverified'] as const).map((kind) => ({ kind, count: answers[kind] }))
  const watched = sites.watched + (wallet?.watched ?? 0)
  const cold = sites.cold + (wallet?.cold ?? 0)
  const known = [formatNumber(watched - cold), formatNumber(watched)] as const
  const hasAnswers = kinds.some(({ count }) => count > 0)
  if (watched === 0 && linked.length === 0 && disputes === 0 && !hasAnswers) return null
  return (
    <details class="card apart" open={cold > 0 || linked.length > 0 || disputes > 0}>
      <summary>
        {texts.title}{' '}
        <span class="aside">
          {cold > 0 ? texts.knownAside(...known) : texts.aside(Math.max(sites.freshness, wallet?.freshness ?? 0))}
        </span>
      </summary>
      {cold > 0 && <p>{texts.cold(...known)}</p>}
      <p>
        {texts.watched(formatCount(sites.watched, 'account'), formatNumber(wallet?.watched ?? 0))} {ageOf(accounts)}
      </p>
      {linked.length > 0 && (
        <>
          <h3>{texts.linked}</h3>
          <ul>
            {linked.map((each) => (
              <li key={`${each.reason} ${each.isSent}`} class={each.isSent ? 'apart-sent' : undefined}>
                {lineOf(each)}
              </li>
            ))}
          </ul>
        </>
      )}
      {disputes > 0 && <p>{texts.disputes(formatCount(disputes, 'time'))}</p>}
      {hasAnswers && (
        <table>
          <caption class="unseen">{texts.answers}</caption>
          <tbody>
            {kinds.map(({ kind, count }) => (
              <tr key={kind}>
                <th scope="row">
                  {texts.kinds[kind].name} <span class="caption">{texts.kinds[kind].note}</span>
                </th>
                <td>{formatNumber(count)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </details>
  )
}

/** The newest of each gateway's. */
export function Lies({ lies, now }: Pick<AccountsView, 'lies'> & { readonly now: number }) {
  const newest = [...new Map(lies.map((lie) => [lie.gateway, lie])).values()].slice(-named)
  return newest.map(({ gateway, what, at }) => (
    <section key={gateway} class="problem" role="alert">
      <AlertIcon />
      <p>
        {texts.lie(gateway === '' ? texts.someGateway : gateway, texts.lies[what] ?? what, formatAgo(at, now))}{' '}
        {texts.avoided}
      </p>
    </section>
  ))
}

function ageOf({ sites, wallet }: AccountsView): string {
  if (wallet === undefined || wallet.freshness === sites.freshness) return texts.age(sites.freshness)
  return texts.ages(sites.freshness, wallet.freshness)
}

function lineOf({ reason, isSent, count }: Linked): string {
  const why = texts.reasons[reason] ?? texts.reasons.other
  return `${isSent ? texts.sent : texts.refused} ${formatCount(count, 'time')}: ${why}`
}
