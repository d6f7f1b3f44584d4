/**
 * The script that browsers start for the bridge. A browser gives it neither the user's PATH nor the variables of their
 * shell, so it names Node, the program and the places of Nightjar's files by absolute paths.
 */
import { NightjarError } from '@nightjar/shared/errors'
import { folderIn, placeVariables } from '../config.ts'

export interface WrapperFacts {
  readonly platform: NodeJS.Platform
  /** Absolute paths of Node and of this program. */
  readonly node: string
  readonly script: string
  /** Where Nightjar's files are, as far as it was said: what `placesFrom` reads. */
  readonly places: Readonly<Record<string, string>>
  /** Folders of browsers that were named by hand, kept here for `nightjar uninstall`. */
  readonly userDataDirs: readonly string[]
}

const mark = 'Written by `nightjar install`; `nightjar uninstall` removes it.'

const remembered = '# For the browser in '

/** The variables of `environment` that say where Nightjar's files are. */
export function placesIn(environment: NodeJS.ProcessEnv): Record<string, string> {
  const valuesOf = (names: readonly string[]) =>
    Object.fromEntries(
      names.flatMap((name) => {
        const folder = folderIn(environment, name)
        return folder === undefined ? [] : [[name, folder]]
      }),
    )
  const home = valuesOf(['NIGHTJAR_HOME'])
  return Object.keys(home).length > 0 ? home : valuesOf(placeVariables)
}

/** @throws NightjarError `file-unusable` where a path cannot stand in a script */
export function wrapperText(facts: WrapperFacts): string {
  return facts.platform === 'win32' ? batchText(facts) : shellText(facts)
}

export function isOurWrapper(text: string): boolean {
  return text.includes(mark)
}

/** The folders of browsers that the script `text` was written for. */
export function userDataDirsIn(text: string): string[] {
  const lines = text.split('\n').filter((line) => line.startsWith(remembered))
  return lines.map((line) => line.slice(remembered.length))
}

function shellText({ node, script, places, userDataDirs }: WrapperFacts): string {
  const folders = userDataDirs.map((folder) => `${remembered}${onOneLine(folder)}`)
  const settings = Object.entries(places).map(([name, folder]) => `export ${name}=${shellQuoted(folder)}`)
  const command = `exec ${shellQuoted(node)} ${shellQuoted(script)} host "$@"`
  return ['#!/bin/sh', `# ${mark}`, ...folders, ...settings, command, ''].join('\n')
}

/** Within single quotes nothing has a meaning but the single quote itself. */
function shellQuoted(path: string): string {
  return `'${onOneLine(path).replaceAll("'", "'\\''")}'`
}

function batchText({ node, script, places }: WrapperFacts): string {
  const settings = Object.entries(places).map(([name, folder]) => `set "${name}=${batchEscaped(folder)}"`)
  const command = `"${batchEscaped(node)}" "${batchEscaped(script)}" host %*`
  // Code page 65001 is UTF-8, which this file is written in.
  return ['@echo off', `rem ${mark}`, 'chcp 65001 >nul', ...settings, command, ''].join('\r\n')
}

function batchEscaped(path: string): string {
  if (path.includes('"')) throw unusable(path, 'a quotation mark')
  return onOneLine(path).replaceAll('%', '%%')
}

function onOneLine(path: string): string {
  if (/[\r\n]/.test(path)) throw unusable(path, 'a line break')
  return path
}

function unusable(path: string, what: string): NightjarError {
  return new NightjarError('file-unusable', { detail: `${JSON.stringify(path)} has ${what} in it; move it elsewhere` })
}
