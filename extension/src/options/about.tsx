/** What the options page tells and does not set. */
import type { Snapshot } from '../messages/ui.ts'
import { CopyLine } from '../ui/copyLine.tsx'
import { commands } from '../ui/texts.ts'
import { options as texts } from './texts.ts'

export function About({ snapshot }: { readonly snapshot: Snapshot | undefined }) {
  const { endpoint, permissions, uninstall } = texts
  return (
    <>
      <section class="card" aria-labelledby="endpoint-title">
        <h2 id="endpoint-title">{endpoint.title}</h2>
        <p class="hint">{endpoint.text}</p>
        <CopyLine command={commands.status} />
        <p class="hint">{endpoint.steps}</p>
        <p class="hint">{endpoint.secret}</p>
      </section>
      <section class="card" aria-labelledby="permissions-title">
        <h2 id="permissions-title">{permissions.title}</h2>
        <dl class="terms">
          {permissions.list.map(([name, why]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{why}</dd>
            </div>
          ))}
        </dl>
      </section>
      <section class="card" aria-labelledby="uninstall-title">
        <h2 id="uninstall-title">{uninstall.title}</h2>
        <ol class="numbered">
          <li>{uninstall.turnOff}</li>
          <li>{uninstall.wallet}</li>
          <li>
            {uninstall.host}
            <CopyLine command={commands.uninstall} />
          </li>
          <li>{uninstall.extension}</li>
        </ol>
      </section>
      <p class="versions">{versionsOf(snapshot)}</p>
    </>
  )
}

function versionsOf(snapshot: Snapshot | undefined): string {
  return [
    snapshot?.hostVersion && `${texts.hostVersion} ${snapshot.hostVersion}`,
    snapshot?.networkVersion && `${texts.networkVersion} ${snapshot.networkVersion}`,
  ]
    .filter(Boolean)
    .join(' · ')
}
