/** One turn of the event loop: promises that can settle have settled, and links of the memory have delivered. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
