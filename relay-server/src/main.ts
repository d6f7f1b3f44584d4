/** The composition root of `nightjar-relay`. */
import { connectBySystem } from './exit/connect.ts'
import { resolveBySystem } from './exit/resolve.ts'
import { runProgram } from './run.ts'

runProgram({ resolve: resolveBySystem(), connectFrom: connectBySystem })
