/** What the pages show of the shield: the door's state, the daemon's counts, and what was found in this session. */
import type { ShieldStatus } from '@nightjar/shared/bridge'
import type { ShieldView } from '../../messages/ui.ts'
import { problemOfError } from '../connection/facts.ts'
import { errorOfCode } from '../host/errors.ts'
import type { SessionState } from '../session.ts'
import type { Shield } from './shield.ts'

/** @param status undefined while the daemon is not there */
export function shieldView(
  { state }: Shield,
  status: ShieldStatus | undefined,
  { restart, leaks }: SessionState,
  watching: boolean,
): ShieldView {
  const { today = {}, hosts = [], lastError: code } = status ?? {}
  return {
    state,
    today,
    hosts: Object.fromEntries(hosts.map(hostView)),
    ...(code == null ? {} : { lastError: problemOfError(errorOfCode(code)) }),
    restartAdvised: restart === 'advised' && state !== 'down',
    watching,
    leaks,
  }
}

function hostView({ suffix, shielded, blocked, lastError }: ShieldStatus['hosts'][number]) {
  const failed = lastError === undefined ? {} : { lastError: errorOfCode(lastError).message }
  return [suffix, { shielded, blocked, ...failed }] as const
}
