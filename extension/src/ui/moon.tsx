/** The moon that stands for the state: new when off, waxing while connecting, full when private, eclipsed when blocked. */
import { birdPath } from './bird.ts'
import { litPath, type MoonState, radius } from './phase.ts'

export function Moon({ lit, eclipsed = false }: MoonState) {
  return (
    <svg class={`moon${eclipsed ? ' moon-eclipsed' : ''}`} viewBox="-80 -80 160 160" aria-hidden="true">
      <defs>
        <radialGradient id="moon-glow">
          <stop offset="0.45" stop-color="var(--glow)" stop-opacity="0.5" />
          <stop offset="0.66" stop-color="var(--glow)" stop-opacity="0.16" />
          <stop offset="1" stop-color="var(--glow)" stop-opacity="0" />
        </radialGradient>
        <linearGradient id="moon-light" x1="0.75" y1="0" x2="0.25" y2="1">
          <stop offset="0" stop-color="#ffdf9e" />
          <stop offset="1" stop-color="#f0ad43" />
        </linearGradient>
        <clipPath id="moon-lit">
          <path class="moon-phase" d={litPath(lit)} />
        </clipPath>
      </defs>
      <circle class="moon-glow" r="80" fill="url(#moon-glow)" opacity={eclipsed ? 1 : lit} />
      <circle class="moon-dark" r={radius} />
      <path class="moon-phase" d={litPath(lit)} fill="url(#moon-light)" />
      <g clip-path="url(#moon-lit)" fill="#c9822a" opacity="0.22">
        <ellipse cx="-19" cy="-24" rx="11" ry="8" transform="rotate(-30 -19 -24)" />
        <ellipse cx="-29" cy="12" rx="6" ry="8" />
        <circle cx="25" cy="-30" r="4" />
        <ellipse cx="22" cy="31" rx="9" ry="6" transform="rotate(-25 22 31)" />
      </g>
      <path class="moon-bird" d={birdPath} transform="translate(-1 -4) rotate(38) scale(2)" />
    </svg>
  )
}
