/** The browsers that Nightjar knows, and where each of them looks for native-messaging hosts. */
import { existsSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { NightjarError } from '@nightjar/shared/errors'
import { folderIn } from '../config.ts'
import type { Machine } from './machine.ts'
import { type Family, hostName } from './manifest.ts'
import { inFolder, inRegistry, type Registration } from './registration.ts'

export const browserNames = ['chromium', 'chrome', 'brave', 'edge', 'firefox'] as const
export type BrowserName = (typeof browserNames)[number]

/** Where a browser keeps its profiles, by which it is found, and its registry key. */
interface Browser {
  readonly title: string
  readonly family: Family
  /** Below the user's configuration folder. */
  readonly linux: string
  /** Below ~/Library/Application Support. */
  readonly macos: string
  /** Below %LOCALAPPDATA% and without `User Data`; of Firefox below %APPDATA%. */
  readonly windows: string
  /** Below HKCU. Builds of Chromium under another name read Chrome's key (native_process_launcher_win.cc). */
  readonly registry: string
}

const browsers: Readonly<Record<BrowserName, Browser>> = {
  chromium: {
    title: 'Chromium',
    family: 'chromium',
    linux: 'chromium',
    macos: 'Chromium',
    windows: 'Chromium',
    registry: 'Software\\Chromium',
  },
  chrome: {
    title: 'Google Chrome',
    family: 'chromium',
    linux: 'google-chrome',
    macos: 'Google/Chrome',
    windows: 'Google/Chrome',
    registry: 'Software\\Google\\Chrome',
  },
  brave: {
    title: 'Brave',
    family: 'chromium',
    linux: 'BraveSoftware/Brave-Browser',
    macos: 'BraveSoftware/Brave-Browser',
    windows: 'BraveSoftware/Brave-Browser',
    registry: 'Software\\Google\\Chrome',
  },
  edge: {
    title: 'Microsoft Edge',
    family: 'chromium',
    linux: 'microsoft-edge',
    macos: 'Microsoft Edge',
    windows: 'Microsoft/Edge',
    registry: 'Software\\Microsoft\\Edge',
  },
  firefox: {
    title: 'Firefox',
    family: 'firefox',
    linux: 'mozilla/firefox',
    macos: 'Firefox',
    windows: 'Mozilla/Firefox',
    registry: 'Software\\Mozilla',
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
  if (userDataDir !== undefined) return [inUserDataDir(userDataDir, browser, machine)]
  if (browser !== undefined) return [registrationOf(browser, machine, wrapper)]
  const present = browserNames.filter((name) => profilesOf(name, machine).some((folder) => existsSync(folder)))
  if (present.length === 0) throw unknown(machine)
  return present.map((name) => registrationOf(name, machine, wrapper))
}

/**
 * Every place that `nightjar install` may have written to for such a choice, as far as it can be known.
 * @param userDataDirs the folders that it remembers
 */
export function knownBrowsers(
  { browser, userDataDir }: Choice,
  machine: Machine,
  wrapper: string,
  userDataDirs: readonly string[],
): Registration[] {
  if (userDataDir !== undefined) return [inUserDataDir(userDataDir, browser, machine)]
  if (browser !== undefined) return [registrationOf(browser, machine, wrapper)]
  const named = browserNames.map((name) => registrationOf(name, machine, wrapper))
  return [...named, ...userDataDirs.map((folder) => inUserDataDir(folder, undefined, machine))]
}

function registrationOf(name: BrowserName, machine: Machine, wrapper: string): Registration {
  const { title, family, registry } = browsers[name]
  const { platform, home } = machine
  if (platform === 'win32') {
    const file = join(dirname(wrapper), `${hostName}.${name}.json`)
    return inRegistry(title, family, `${registry}\\NativeMessagingHosts`, file, machine)
  }
  if (family === 'firefox') {
    // Apart from its profiles, and without regard to the XDG folders (Firefox 153).
    const macos = 'Library/Application Support/Mozilla/NativeMessagingHosts'
    return inFolder(title, family, join(home, platform === 'darwin' ? macos : '.mozilla/native-messaging-hosts'), home)
  }
  const [userData = ''] = profilesOf(name, machine)
  return inFolder(title, family, join(userData, 'NativeMessagingHosts'), configurationOf(machine))
}

function inUserDataDir(folder: string, browser: BrowserName | undefined, { platform }: Machine): Registration {
  if (platform === 'win32') {
    throw new NightjarError('file-unusable', {
      detail: 'browsers on Windows look in the registry only; use --browser instead of --user-data-dir',
    })
  }
  if (browser === 'firefox') {
    throw new NightjarError('file-unusable', {
      detail: 'Firefox looks in one folder for all of its profiles; use --browser firefox without --user-data-dir',
    })
  }
  const userData = resolve(folder)
  return inFolder(`the browser in ${userData}`, 'chromium', join(userData, 'NativeMessagingHosts'), userData)
}

/** Where the browser keeps its profiles, today's place first. */
function profilesOf(name: BrowserName, machine: Machine): readonly string[] {
  const { platform, home, environment } = machine
  const { family, linux, macos, windows } = browsers[name]
  if (platform === 'darwin') return [join(configurationOf(machine), macos)]
  if (platform === 'win32') {
    return family === 'firefox'
      ? [join(environment.APPDATA ?? join(home, 'AppData/Roaming'), windows)]
      : [join(environment.LOCALAPPDATA ?? join(home, 'AppData/Local'), windows, 'User Data')]
  }
  const folder = join(configurationOf(machine, family), linux)
  // Until version 147; it stays where it is there already.
  return family === 'firefox' ? [folder, join(home, '.mozilla/firefox')] : [folder]
}

/** The folder of all programs' configurations. */
function configurationOf({ platform, home, environment }: Machine, family: Family = 'chromium'): string {
  if (platform === 'darwin') return join(home, 'Library/Application Support')
  // In the order in which Chromium looks (chrome_paths_linux.cc).
  const chromium = family === 'chromium' ? folderIn(environment, 'CHROME_CONFIG_HOME') : undefined
  return chromium ?? folderIn(environment, 'XDG_CONFIG_HOME') ?? join(home, '.config')
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
