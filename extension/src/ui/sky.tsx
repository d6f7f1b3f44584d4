/** The band of night on top of each page: mark, moon and headline. It is night in both themes. */
import type { ComponentChildren } from 'preact'
import { mark } from './mark.ts'
import { Moon } from './moon.tsx'
import type { MoonState } from './phase.ts'

/** Position in percent and radius of each star. */
const stars = [
  [3, 44, 0.8],
  [11, 9, 0.6],
  [24, 26, 0.7],
  [34, 6, 0.9],
  [41, 20, 0.6],
  [47, 34, 0.7],
  [55, 10, 0.6],
  [60, 27, 0.9],
  [68, 41, 0.6],
  [75, 7, 0.7],
  [81, 90, 0.6],
  [88, 30, 0.7],
  [97, 58, 0.9],
  [98, 14, 0.6],
] as const

interface SkyProps {
  readonly moon: MoonState
  readonly headline: string
  readonly summary?: string | undefined
  /** Stands in the line of the mark, at its end. */
  readonly action?: ComponentChildren
}

export function Sky({ moon, headline, summary, action }: SkyProps) {
  return (
    <header class="sky">
      <svg class="stars" aria-hidden="true">
        {stars.map(([x, y, radius]) => (
          <circle key={x} cx={`${x}%`} cy={`${y}%`} r={radius} />
        ))}
      </svg>
      <div class="brand">
        <img class="mark" src={`data:image/svg+xml,${encodeURIComponent(mark)}`} alt="" />
        <span>Nightjar</span>
        {action}
      </div>
      <Moon {...moon} />
      <div class="says">
        <h1 tabIndex={-1}>{headline}</h1>
        {summary !== undefined && <p>{summary}</p>}
      </div>
    </header>
  )
}
