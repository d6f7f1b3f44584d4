/** The commands that have to do with browsers: `install`, `uninstall`, and `host`, which browsers run themselves. */
import { type Command, InvalidArgumentError, Option } from 'commander'
import { type BrowserName, browserNames } from '../install/browsers.ts'
import type { Installed, InstallOptions } from '../install/install.ts'
import { extensionIds } from '../install/manifest.ts'
import { formatInstalled } from '../install/report.ts'
import type { UninstallOptions } from '../install/uninstall.ts'

export interface BrowserCommands {
  print(text: string): void
  setExitCode(code: number): void
  /** Copies between stdio and the daemon. @returns the exit code */
  host(): Promise<number>
  install(options: InstallOptions): Promise<Installed>
  /** Says what it does by itself. */
  uninstall(options: UninstallOptions): Promise<void>
}

interface BrowserOptions {
  readonly browser?: BrowserName
  readonly userDataDir?: string
}

export function addBrowserCommands(program: Command, context: BrowserCommands): void {
  program
    .command('install')
    .description('let browsers start Nightjar for the extension, and try whether it works')
    .addOption(browserOption('the browser to install for; without it, every one of these that is there'))
    .option('--user-data-dir <folder>', 'the folder of a browser that is started with --user-data-dir')
    .option('--extension-id <ids...>', 'the extensions that may use it, instead of Nightjar’s', collectIds)
    .option('--no-check', 'do not try whether it works')
    .option('--json', 'print one JSON object')
    .addHelpText('after', '\nExample:\n  nightjar install --browser chromium\n')
    .action(async (options: BrowserOptions & { extensionId?: string[]; check: boolean; json?: boolean }) => {
      const { browser, userDataDir, extensionId, check } = options
      const installed = await context.install({ browser, userDataDir, extensionIds: extensionId, check })
      context.print(options.json ? `${JSON.stringify(installed)}\n` : formatInstalled(installed))
      if (installed.check?.daemon === null) context.setExitCode(1)
    })

  program
    .command('uninstall')
    .description('take back what `install` did')
    .addOption(browserOption('the browser to uninstall from; without it, every one that is known'))
    .option('--user-data-dir <folder>', 'only from the browser that is started with --user-data-dir and this folder')
    .option('--purge', 'delete configuration and state as well, and end the daemon')
    .addHelpText('after', '\nExample:\n  nightjar uninstall\n')
    .action(({ browser, userDataDir, purge = false }: BrowserOptions & { purge?: boolean }) =>
      context.uninstall({ browser, userDataDir, purge }),
    )

  program
    .command('host')
    .description('what browsers run (native messaging): copies between stdio and the daemon, and starts it if need be')
    // Browsers hand over the extension's origin, and some more.
    .argument('[origin...]')
    .allowUnknownOption()
    .addHelpText('after', `\nExample:\n  nightjar host chrome-extension://${extensionIds.chromium}/\n`)
    .action(async () => context.setExitCode(await context.host()))
}

function browserOption(description: string): Option {
  return new Option('--browser <name>', description).choices(browserNames)
}

/** Of an option that may be given several times, or with several values. */
function collectIds(id: string, before: string[] = []): string[] {
  // Chromium's are the sixteen digits of a hash as letters; Firefox's look like an address or are a UUID.
  if (!/^([a-p]{32}|[\w.-]*@[\w.-]+|\{[0-9a-fA-F-]{36}\})$/.test(id)) {
    throw new InvalidArgumentError('an extension id is 32 letters from a to p, or in Firefox such as name@example.org')
  }
  return [...before, id]
}
