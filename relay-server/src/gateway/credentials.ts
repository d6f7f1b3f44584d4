/** The header that user and password in a provider's URL become; none where there are none. */
export function authorization({ username, password }: URL): { authorization?: string } {
  if (username === '') return {}
  const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  return { authorization: `Basic ${Buffer.from(credentials).toString('base64')}` }
}
