/** The composition root of `nightjar-relay`. */
import { systemClock } from '@nightjar/shared-node/process'
import { connectBySystem } from './exit/connect.ts'
import { resolveBySystem } from './exit/resolve.ts'
import { runProgram } from './run.ts'

runProgram({ resolve: resolveBySystem(systemClock), connectFrom: connectBySystem })
