/** `nightjar status` for people. */
import type { AccountsStatus, Party, ShieldStatus, Status } from '@nightjar/shared/bridge'
import { errorTable, isErrorCode } from '@nightjar/shared/errors'

const words: Record<Status['state'], string> = {
  connecting: 'connecting: no path yet',
  private: 'private: all paths stand',
  degraded: 'private, with one path less than usual',
  blocked: 'blocked: the network cannot be reached; requests fail, nothing goes direct',
}

export function formatStatus(status: Status): string {
  const trunks = status.trunks.map(({ entry, middle }) => `  path      ${party(entry)}  →  ${party(middle)}`)
  const lines = [
    `Nightjar ${status.version}  ${words[status.state]}`,
    ...trunks,
    `  gateways  ${status.gateways.map(party).join(', ') || 'none in use'}`,
    `  branches  ${status.branches}`,
    `  requests  ${status.requests.ok} answered, ${status.requests.failed} failed`,
    `  endpoint  ${status.endpoint}`,
    ...shieldLines(status.shield),
    ...accountLines(status.accounts),
    ...(status.divergingRelays > 0
      ? [`  warning   ${status.divergingRelays} handshakes showed another network document than ours`]
      : []),
    ...(status.failingGuards.length > 0
      ? [`  warning   fails again and again: ${status.failingGuards.map(party).join(', ')}`]
      : []),
    ...(status.lastError === null
      ? []
      : [`  last error  ${isErrorCode(status.lastError) ? errorTable[status.lastError].sentence : status.lastError}`]),
  ]
  return `${lines.join('\n')}\n`
}

/** The address is as other programs take it: with `h`, names are left to the proxy. */
function shieldLines({ port, streams, refused, today }: ShieldStatus): string[] {
  const counts = Object.entries(today).map(([category, { shielded, blocked }]) => {
    return `${category} ${shielded}${blocked === 0 ? '' : ` (${blocked} blocked)`}`
  })
  const unlisted = refused === 0 ? [] : [`not listed ${refused} (refused)`]
  return [
    `  shield    socks5h://127.0.0.1:${port}  ${streams} open`,
    `  today     ${[...counts, ...unlisted].join(', ') || 'nothing yet'}`,
  ]
}

function accountLines(accounts: AccountsStatus): string[] {
  const { watched, cold, freshnessSeconds, verified, compared, unverified, refuted, linking, lies, disputes } = accounts
  const sent = linking.filter((each) => each.sent).length
  return [
    `  accounts  ${watched} watched${cold === 0 ? '' : `, ${cold} not read yet`}, no older than ${freshnessSeconds} s`,
    `  answers   ${verified} verified, ${compared} compared, ${unverified} unverified, ${refuted} refuted`,
    ...(linking.length === 0
      ? []
      : [`  linking   ${linking.length} calls named several accounts: ${sent} sent, ${linking.length - sent} refused`]),
    ...lies.map(
      ({ gateway, what, at }) => `  warning   ${gateway} gave a false ${what} at ${timeOf(at)}; it is avoided`,
    ),
    ...disputes.map(({ gateways, what, at }) => {
      return `  warning   gateways disagreed about a ${what} at ${timeOf(at)}: ${gateways.join(', ') || 'not known which'}`
    }),
  ]
}

function timeOf(at: number): string {
  return new Date(at).toISOString()
}

function party({ name, operator, region }: Party): string {
  return `${name} (${operator}, ${region})`
}
