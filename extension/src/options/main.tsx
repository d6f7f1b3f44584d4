/** Entry of the options page. */
import { render } from 'preact'
import { watchBackground } from '../ui/background.ts'
import { Options } from './options.tsx'

const background = watchBackground((view) => {
  render(<Options {...view} send={(command) => background.send(command)} />, document.body)
})
