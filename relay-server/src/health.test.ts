import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Health, type HealthServer, serveHealth } from './health.ts'

let health: Health
let server: HealthServer
beforeEach(async () => {
  health = { status: 'ok' }
  server = await serveHealth({ host: '127.0.0.1', port: 0, health: () => health })
})
afterEach(() => server.close())

function get(path: string, method = 'GET'): Promise<Response> {
  return fetch(`http://127.0.0.1:${server.port}${path}`, { method })
}

test.each([
  ['ok', 200],
  ['draining', 503],
  ['no network document', 503],
] as const)('a relay that is %s answers %i', async (status, code) => {
  health = { status }
  const response = await get('/health')
  expect(response.status).toBe(code)
  expect(response.headers.get('content-type')).toBe('application/json')
  expect(await response.json()).toEqual({ status })
})

test.each([
  ['/', 'GET'],
  ['/health/', 'GET'],
  ['/health?verbose', 'GET'],
  ['/health', 'POST'],
  ['/health', 'HEAD'],
])('%s by %s is not found', async (path, method) => {
  expect((await get(path, method)).status).toBe(404)
})

test('a port that is taken is an error with a code', async () => {
  await expect(serveHealth({ host: '127.0.0.1', port: server.port, health: () => health })).rejects.toMatchObject({
    code: 'connect-failed',
    detail: 'health port',
  })
})
