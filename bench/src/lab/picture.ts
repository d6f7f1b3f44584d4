/** Pictures of an attack's results, as SVG that reads on light and on dark ground. */
import { type Attacker, attackers } from './attackers.ts'
import type { Results, StrategyName } from './linking.ts'
import type { Point } from './score.ts'

const titles: Record<Attacker, string> = {
  gateway: 'one gateway',
  gateways: 'all gateways',
  provider: 'their provider',
  middle: 'a middle',
  middleGateway: 'a middle and a gateway',
  middleChain: 'a middle and the chain',
}
const names: Record<StrategyName, string> = { direct: 'direct', splitOnly: 'split only', watches: 'watches' }

const style = `<style>
    svg { color-scheme: light dark; font: 13px system-ui, sans-serif }
    .ground { fill: #fff } .ink { fill: #1c2430 } .faint { fill: #5b6675 } .line { stroke: #c6ccd4 } .target { stroke: #1c2430 }
    .direct { --own: #c2410c } .splitOnly { --own: #a16207 } .watches { --own: #0f766e }
    .bar { fill: var(--own) } .curve { fill: none; stroke: var(--own); stroke-width: 2 }
    @media (prefers-color-scheme: dark) {
      .ground { fill: #12161c } .ink { fill: #e8ecf1 } .faint { fill: #9aa5b3 } .line { stroke: #39424e } .target { stroke: #e8ecf1 }
      .direct { --own: #fb8a4c } .splitOnly { --own: #e3b341 } .watches { --own: #2dd4bf }
    }
  </style>`

function svg(width: number, height: number, title: string, body: readonly string[]): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-label="${title}">
  ${style}
  <rect class="ground" width="${width}" height="${height}"/>
  <text class="ink" x="24" y="32" font-size="17" font-weight="600">${title}</text>
  ${body.join('\n  ')}
</svg>
`
}

function legend(strategies: readonly StrategyName[], x: number, y: number): readonly string[] {
  return strategies.map(
    (name, index) =>
      `<g class="${name}"><rect class="bar" x="${x + index * 110}" y="${y - 10}" width="12" height="12"/><text class="ink" x="${x + 18 + index * 110}" y="${y}">${names[name]}</text></g>`,
  )
}

/** Over one window, how well each attacker does against each strategy. */
export function barsOf(results: Results, window: 'auc10m' | 'auc1h' | 'auc8h', title: string): string {
  const strategies = Object.keys(results) as StrategyName[]
  const [left, top, height, group, wide] = [64, 92, 260, 164, 36]
  const yOf = (auc: number) => top + height * (1 - (auc - 0.5) / 0.5)
  const width = left + group * attackers.length + 24
  const grid = [0.5, 0.6, 0.7, 0.8, 0.9, 1].map(
    (auc) =>
      `<line class="line" x1="${left}" x2="${width - 24}" y1="${yOf(auc)}" y2="${yOf(auc)}"/><text class="faint" x="${left - 8}" y="${yOf(auc) + 4}" text-anchor="end">${auc.toFixed(1)}</text>`,
  )
  const bars = attackers.flatMap((attacker, at) => {
    const middle = left + group * (at + 0.5)
    const columns = strategies.map((strategy, index) => {
      const x = middle + (index - strategies.length / 2) * (wide + 4) + 2
      const { auc } = results[strategy][attacker][window]
      const y = auc === undefined ? yOf(0.5) : yOf(Math.max(auc, 0.5))
      const label = auc === undefined ? '–' : auc.toFixed(2)
      return `<g class="${strategy}"><rect class="bar" x="${x}" y="${y}" width="${wide}" height="${yOf(0.5) - y}"/><text class="ink" font-size="11" x="${x + wide / 2}" y="${y - 5}" text-anchor="middle">${label}</text></g>`
    })
    return [
      ...columns,
      `<text class="ink" x="${middle}" y="${top + height + 22}" text-anchor="middle">${titles[attacker]}</text>`,
    ]
  })
  return svg(width, top + height + 76, title, [
    ...legend(strategies, left, 62),
    ...grid,
    ...bars,
    `<line class="target" stroke-dasharray="5 4" x1="${left}" x2="${width - 24}" y1="${yOf(0.6)}" y2="${yOf(0.6)}"/>`,
    `<text class="faint" transform="translate(20 ${top + height / 2}) rotate(-90)" text-anchor="middle">area under the curve (AUC)</text>`,
    `<text class="faint" x="${left}" y="${top + height + 52}">0.5 is guessing, 1 is certainty. Dashed: the target of 0.60 for gateways and provider. –: too few pairs to say.</text>`,
  ])
}

/** Over one window, of one attacker after another, pairs found against pairs mistaken. */
export function curvesOf(results: Results, window: 'auc10m' | 'auc1h' | 'auc8h', title: string): string {
  const strategies = Object.keys(results) as StrategyName[]
  const [size, left, top, gap] = [210, 64, 104, 74]
  const panels = attackers.map((attacker, at) => {
    const x = left + (at % 3) * (size + gap)
    const y = top + Math.floor(at / 3) * (size + gap + 10)
    const ticks = [1e-3, 1e-2, 1e-1, 1].map((rate) => {
      const at = x + logOf(rate) * size
      return `<line class="line" x1="${at}" x2="${at}" y1="${y}" y2="${y + size}"/><text class="faint" font-size="11" x="${at}" y="${y + size + 15}" text-anchor="middle">${rate === 1 ? '1' : rate}</text>`
    })
    const marks = [0, 0.5, 1].map(
      (share) =>
        `<line class="line" x1="${x}" x2="${x + size}" y1="${y + size * (1 - share)}" y2="${y + size * (1 - share)}"/><text class="faint" font-size="11" x="${x - 7}" y="${y + size * (1 - share) + 4}" text-anchor="end">${share}</text>`,
    )
    const guessing = `<path class="target" fill="none" stroke-dasharray="3 4" d="${pathOf(
      Array.from({ length: 31 }, (_, step) => 10 ** (-3 + step / 10)).map((rate) => ({
        falsePositives: rate,
        truePositives: rate,
      })),
      x,
      y,
      size,
    )}"/>`
    const curves = strategies.map((strategy) => {
      const { roc } = results[strategy][attacker][window]
      return roc.length === 0 ? '' : `<g class="${strategy}"><path class="curve" d="${pathOf(roc, x, y, size)}"/></g>`
    })
    return [
      `<text class="ink" x="${x}" y="${y - 8}" font-weight="600">${titles[attacker]}</text>`,
      ...ticks,
      ...marks,
      guessing,
      ...curves,
    ].join('\n  ')
  })
  const height = top + 2 * (size + gap + 10)
  return svg(left + 3 * (size + gap), height, title, [
    ...legend(strategies, left, 62),
    ...panels,
    `<text class="faint" x="${left}" y="${height - 14}">Across: share of pairs of two users taken for one (logarithmic). Up: share of pairs of one user found. Dashed: guessing.</text>`,
  ])
}

/** From one in a thousand, at 0, to all, at 1. */
function logOf(rate: number): number {
  return Math.max(0, (Math.log10(Math.max(rate, 1e-3)) + 3) / 3)
}

/** Without what moves the pen by less than can be seen. */
function pathOf(roc: readonly Point[], x: number, y: number, size: number): string {
  const places = roc.map(({ falsePositives, truePositives }) => [
    x + logOf(falsePositives) * size,
    y + size * (1 - truePositives),
  ])
  let [lastX = 0, lastY = 0] = [-size, -size]
  const kept = places.filter(([atX = 0, atY = 0], index) => {
    if (index < places.length - 1 && Math.hypot(atX - lastX, atY - lastY) < 1) return false
    lastX = atX
    lastY = atY
    return true
  })
  return `M${kept.map((place) => place.map((each) => each.toFixed(1)).join(' ')).join('L')}`
}
