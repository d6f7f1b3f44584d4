import { expect, test } from 'vitest'
import type { BridgeCheck } from './check.ts'
import { formatInstalled } from './report.ts'

const written = { wrapper: '/s/nightjar-host', browsers: [{ browser: 'Chromium', wrote: ['/c/host.json'] }] }
const files = 'Wrote /s/nightjar-host\nFor Chromium:\n  wrote /c/host.json\n'

test.each<[string, BridgeCheck | null, string]>([
  [
    'all is well',
    { bridge: true, daemon: '0.1.0' },
    'The bridge works, and the daemon answered (version 0.1.0).\nOpen the extension and press Go private.\n',
  ],
  ['it was not tried', null, 'The bridge was not tried.\n'],
  [
    'the daemon cannot start',
    { bridge: true, daemon: null, code: 'config-invalid', detail: 'config.yaml:3: x is missing' },
    [
      'The bridge works, but the daemon did not come up:',
      '  The configuration is wrong. Correct the line that is named.',
      '  config.yaml:3: x is missing',
      'Nothing needs to be installed again: once that is right, the extension connects by itself.',
      '',
    ].join('\n'),
  ],
  [
    'the script does not run',
    { bridge: false, daemon: null, code: 'timed-out' },
    [
      'The files are written, but the bridge does not work:',
      '  No answer came in time. Try again.',
      'Put that right, then run the same command again.',
      '',
    ].join('\n'),
  ],
])('%s', (_, check, said) => {
  expect(formatInstalled({ ...written, check })).toBe(files + said)
})
