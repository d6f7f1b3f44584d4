/**
 * The picture of the promise: the way of a request from top to bottom, and beside it two bars, who knows the user's
 * address and who knows what is asked. Only the user's own row has both.
 */
import { whoSees, whoSeesTitles } from '../ui/texts.ts'

const row = 58
const top = 52
const width = 420
const height = top + whoSees.length * row
const lanes = [
  { key: 'address', x: 316, title: whoSeesTitles.address },
  { key: 'content', x: 384, title: whoSeesTitles.content },
] as const

export function WhoSees() {
  return (
    <figure class="who-sees">
      <svg viewBox={`0 0 ${width} ${height}`} role="img" aria-labelledby="who-sees-title who-sees-text">
        <title id="who-sees-title">{whoSeesTitles.figure}</title>
        <desc id="who-sees-text">{inWords()}</desc>
        {lanes.map(({ key, x, title }) => (
          <g key={key} class={`lane lane-${key}`}>
            <text x={x} y={18} text-anchor="middle">
              {whoSeesTitles.knows}
            </text>
            <text x={x} y={34} text-anchor="middle">
              {title}
            </text>
            {runs(key).map(([first, last]) => (
              <rect
                key={first}
                x={x - 13}
                y={middleOf(first) - 20}
                width={26}
                height={(last - first) * row + 40}
                rx={13}
              />
            ))}
          </g>
        ))}
        <path class="way" d={`M16 ${middleOf(0)}V${middleOf(whoSees.length - 1)}`} />
        {whoSees.map(({ party, note, address, content }, index) => (
          <g key={party} transform={`translate(0 ${middleOf(index)})`}>
            <circle class="stop" cx={16} r={7} />
            <text class="party" x={38} y={-3}>
              {party}
            </text>
            <text class="note" x={38} y={15}>
              {note}
            </text>
            <Mark x={lanes[0].x} known={address} />
            <Mark x={lanes[1].x} known={content} />
          </g>
        ))}
      </svg>
    </figure>
  )
}

function Mark({ x, known }: { readonly x: number; readonly known: boolean }) {
  return known ? <path class="known" d={`M${x - 5} 0l4 4 7-8`} /> : <circle class="unknown" cx={x} r={2.5} />
}

function middleOf(index: number): number {
  return top + row * index + row / 2
}

/** First and last row of each unbroken stretch of parties that know. */
function runs(key: 'address' | 'content'): readonly (readonly [number, number])[] {
  const found: [number, number][] = []
  whoSees.forEach((each, index) => {
    if (!each[key]) return
    const run = found.at(-1)
    if (run !== undefined && run[1] === index - 1) run[1] = index
    else found.push([index, index])
  })
  return found
}

function inWords(): string {
  return whoSees
    .map(({ party, address, content }) => {
      const known = [address && whoSeesTitles.address, content && whoSeesTitles.content].filter(Boolean)
      return `${party}: ${known.length === 0 ? whoSeesTitles.neither : `${whoSeesTitles.knows} ${known.join(', ')}`}.`
    })
    .join(' ')
}
