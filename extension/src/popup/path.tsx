/** The way that requests take, drawn as hops: both trunks side by side, joined at the gateways. */
import type { Party } from '@nightjar/shared/bridge'
import type { Snapshot } from '../messages/ui.ts'
import { path as texts } from '../ui/texts.ts'

/** Gateways that are drawn; of more only the number is told. */
const drawn = 4

export function Path({ trunks, gateways }: Pick<Snapshot, 'trunks' | 'gateways'>) {
  return (
    <section class="card path" aria-label={texts.title}>
      {trunks.length === 0 ? (
        <p>{texts.noTrunk}</p>
      ) : (
        <div class={trunks.length > 1 ? 'route route-double' : 'route'}>
          <p class="end">{texts.you}</p>
          <div class="trunks">
            {trunks.map(({ entry, middle }, index) => (
              <ol key={`${entry.name} ${middle.name}`} aria-label={texts.trunk(index + 1)}>
                <li class="hop">
                  <Named role={texts.entry} party={entry} />
                </li>
                <li class="hop">
                  <Named role={texts.middle} party={middle} />
                </li>
              </ol>
            ))}
          </div>
          <div class="hop">
            <ul class="gateways" aria-label={texts.gateway}>
              {gateways.slice(0, drawn).map((gateway) => (
                <li key={gateway.name}>
                  <Named role={texts.gateway} party={gateway} />
                </li>
              ))}
              {gateways.length === 0 && (
                <li>
                  <span class="operator">{texts.gateway}</span>
                  <span class="place">{texts.noGateway}</span>
                </li>
              )}
            </ul>
            {gateways.length > drawn && <p class="place">{texts.moreGateways(gateways.length - drawn)}</p>}
          </div>
          <p class="end">{texts.provider}</p>
        </div>
      )}
      <p class="caption">{trunks.length === 1 ? texts.oneTrunk : texts.caption}</p>
    </section>
  )
}

function Named({ role, party }: { readonly role: string; readonly party: Party }) {
  return (
    <>
      <span class="operator" title={party.name}>
        {party.operator}
      </span>
      <span class="place">
        {role} · {party.region}
      </span>
    </>
  )
}
