/** The few icons there are, drawn on 16 × 16 in the colour of the text. They never stand alone: words are beside them. */
import type { ComponentChildren } from 'preact'

function Icon({ children }: { children: ComponentChildren }) {
  return (
    <svg
      class="icon"
      viewBox="0 0 16 16"
      fill="none"
      stroke="currentColor"
      stroke-width="1.75"
      stroke-linecap="round"
      stroke-linejoin="round"
      aria-hidden="true"
    >
      {children}
    </svg>
  )
}

export const CheckIcon = () => (
  <Icon>
    <path d="M3.5 8.5l3 3 6-7" />
  </Icon>
)

export const CrossIcon = () => (
  <Icon>
    <path d="M4.5 4.5l7 7m0-7l-7 7" />
  </Icon>
)

export const DashIcon = () => (
  <Icon>
    <path d="M4.5 8h7" />
  </Icon>
)

export const DotsIcon = () => (
  <Icon>
    <path d="M4 8h.01M8 8h.01M12 8h.01" stroke-width="2.25" />
  </Icon>
)

export const AlertIcon = () => (
  <Icon>
    <path d="M8 4.5v4.25M8 11.5h.01" stroke-width="2" />
  </Icon>
)

export const SettingsIcon = () => (
  <Icon>
    <path d="M2.5 4.75h5m4 0h2M2.5 11.25h2m4 0h5" />
    <circle cx="9.5" cy="4.75" r="1.9" />
    <circle cx="6.5" cy="11.25" r="1.9" />
  </Icon>
)
