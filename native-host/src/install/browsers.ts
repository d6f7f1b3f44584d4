/** The browsers that Nightjar knows, and where each of them looks for native-messaging hosts. */
import { existsSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { NightjarError } from '@nightjar/shared/errors'
import { folderIn } from '../config.ts'
import type { Machine } from './machine.ts'
import { hostName } from './manifest.ts'
import { inFolder, inRegistry, type Registration } from './registration.ts'

export const browserNames = ['chromium', 'chrome', 'brave', 'edge'] as const
export type BrowserName = (typeof browserNames)[number]

interface Browser {
  readonly title: string
  /** Below the user's configuration folder. */
  readonly linux: string
  /** Below ~/Library/Application Support. */
  readonly macos: string
  /** Below %LOCALAPPDATA%, without `User Data`. */
  readonly windows: string
  /** Below HKCU. Builds of Chromium under another name read Chrome's key (native_process_launcher_win.cc). */
  readonly registry: string
}

const browsers: Readonly<Record<BrowserName, Browser>> = {
  chromium: {
    title: 'Chromium',
    linux: 'chromium',
    macos: 'Chromium',
    windows: 'Chromium',
    registry: 'Software\\Chromium',
  },
  chrome: {
    title: 'Google Chrome',
    linux: 'google-chrome',
    macos: 'Google/Chrome',
    windows: 'Google/Chrome',
    registry: 'Software\\Google\\Chrome',
  },
  brave: {
    title: 'Brave',
    linux: 'BraveSoftware/Brave-Browser',
    macos: 'BraveSoftware/Brave-Browser',
    windows: 'BraveSoftware/Brave-Browser',
    registry: 'Software\\Google\\Chrome',
  },
  edge: {
    title: 'Microsoft Edge',
    linux: 'microsoft-edge',
    macos: 'Microsoft Edge',
    windows: 'Microsoft/Edge',
    registry: 'Software\\Microsoft\\Edge',
  },
}

/** Which browsers are meant. */
export interface Choice {
  readonly browser?: BrowserName | undefined
  /** The folder of a browser that was started with `--user-data-dir`. */
  readonly userDataDir?: string | undefined
}

/**
 * What `nightjar install` is to write to: the folder that is named, or the browser, or every browser that is there.
 * @throws NightjarError `file-unusable` where there is none
 */
export function chosenBrowsers({ browser, userDataDir }: Choice, machine: Machine, wrapper: string): Registration[] {
  if (userDataDir !== undefined) return [inUserDataDir(userDataDir, machine)]
  if (browser !== undefined) return [registrationOf(browser, machine, wrapper)]
  const present = browserNames.filter((name) => existsSync(userDataOf(browsers[name], machine)))
  if (present.length === 0) throw unknown(machine)
  return present.map((name) => registrationOf(name, machine, wrapper))
}

/** Every place that `nightjar install` may have written to, as far as it can be known. */
export function knownBrowsers({ browser, userDataDir }: Choice, machine: Machine, wrapper: string): Registration[] {
  const names = browser === undefined ? browserNames : [browser]
  const known = names.map((name) => registrationOf(name, machine, wrapper))
  return userDataDir === undefined ? known : [...known, inUserDataDir(userDataDir, machine)]
}

function registrationOf(name: BrowserName, machine: Machine, wrapper: string): Registration {
  const browser = browsers[name]
  if (machine.platform !== 'win32') return inFolder(browser.title, userDataOf(browser, machine))
  const file = join(dirname(wrapper), `${hostName}.${name}.json`)
  return inRegistry(browser.title, `${browser.registry}\\NativeMessagingHosts`, file, machine)
}

function inUserDataDir(folder: string, { platform }: Machine): Registration {
  if (platform === 'win32') {
    throw new NightjarError('file-unusable', {
      detail: 'browsers on Windows look in the registry only; use --browser instead of --user-data-dir',
    })
  }
  return inFolder(`the browser in ${resolve(folder)}`, resolve(folder))
}

function userDataOf(browser: Browser, { platform, home, environment }: Machine): string {
  if (platform === 'darwin') return join(home, 'Library/Application Support', browser.macos)
  if (platform === 'win32') {
    return join(environment.LOCALAPPDATA ?? join(home, 'AppData/Local'), browser.windows, 'User Data')
  }
  // In the order in which Chromium looks (chrome_paths_linux.cc).
  const config = folderIn(environment, 'CHROME_CONFIG_HOME') ?? folderIn(environment, 'XDG_CONFIG_HOME')
  return join(config ?? join(home, '.config'), browser.linux)
}

function unknown({ platform, home }: Machine): NightjarError {
  const titles = browserNames.map((name) => browsers[name].title).join(', ')
  // Its sandbox keeps it from starting programs, so there is nothing to install.
  const isSnap = platform === 'linux' && existsSync(join(home, 'snap/chromium'))
  const snap = isSnap ? '; Chromium from Snap cannot start programs outside of its sandbox, take another package' : ''
  return new NightjarError('file-unusable', {
    detail: `no folder of ${titles} was found; name one with --browser, or its folder with --user-data-dir${snap}`,
  })
}
