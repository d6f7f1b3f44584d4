import type { ComponentChild } from 'preact'
import { CheckIcon, CrossIcon, DashIcon, DotsIcon } from '../ui/icons.tsx'
import { type DoorState, doorNames, doorStates } from '../ui/texts.ts'
import type { Door } from './doors.ts'

const icons: Record<DoorState, () => ComponentChild> = {
  open: CheckIcon,
  waiting: DotsIcon,
  closed: CrossIcon,
  direct: DashIcon,
}

export function Doors({ doors }: { readonly doors: readonly Door[] }) {
  return (
    <ul class="doors">
      {doors.map((door) => {
        const Icon = icons[door.state]
        return (
          <li key={door.id} class={`door door-${door.state}`}>
            <span class="door-icon">
              <Icon />
            </span>
            <div>
              <span class="door-name">{doorNames[door.id]}</span>{' '}
              <span class="door-state">{doorStates[door.state]}</span>
              <p>{door.detail}</p>
              {door.note !== undefined && <p class="door-note">{door.note}</p>}
            </div>
          </li>
        )
      })}
    </ul>
  )
}
