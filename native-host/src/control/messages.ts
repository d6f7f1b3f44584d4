/**
 * What travels over the daemon's local socket, in the frames of shared/bridge. Each request has an id that its response
 * repeats.
 */
import { NightjarError } from '@nightjar/shared/errors'
import * as v from 'valibot'

const id = v.pipe(v.number(), v.safeInteger())

const controlRequest = v.variant('type', [
  v.strictObject({ id, type: v.literal('status') }),
  v.strictObject({
    id,
    type: v.literal('rpc'),
    chain: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
    method: v.string(),
    params: v.array(v.unknown()),
  }),
])

export type ControlRequest = v.InferOutput<typeof controlRequest>

const controlResponse = v.union([
  v.strictObject({ id, result: v.unknown() }),
  v.strictObject({
    id,
    error: v.strictObject({ code: v.number(), message: v.string(), data: v.optional(v.unknown()) }),
  }),
])

export type ControlResponse = v.InferOutput<typeof controlResponse>

/** @throws NightjarError `malformed-frame` */
export function parseControlRequest(value: unknown): ControlRequest {
  return parse(controlRequest, value)
}

/** @throws NightjarError `malformed-frame` */
export function parseControlResponse(value: unknown): ControlResponse {
  return parse(controlResponse, value)
}

function parse<S extends v.GenericSchema>(schema: S, value: unknown): v.InferOutput<S> {
  const result = v.safeParse(schema, value)
  if (result.success) return result.output
  throw new NightjarError('malformed-frame', { detail: 'unknown message' })
}
