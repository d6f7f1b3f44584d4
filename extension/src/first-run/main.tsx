/** Entry of the first-run page. */
import { render } from 'preact'
import { watchBackground } from '../ui/background.ts'
import { FirstRun } from './firstRun.tsx'

const background = watchBackground(({ snapshot }) => {
  render(<FirstRun snapshot={snapshot} send={(command) => background.send(command)} />, document.body)
})
