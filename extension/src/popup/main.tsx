/** Entry of the popup. */
import { render } from 'preact'
import { watchBackground } from '../ui/background.ts'
import { Popup } from './popup.tsx'

const background = watchBackground(({ snapshot }) => {
  render(<Popup snapshot={snapshot} send={(command) => background.send(command)} />, document.body)
})
