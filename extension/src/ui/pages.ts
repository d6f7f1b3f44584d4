/** Addresses of our own pages, as each of them can link to the others. */
export const pages = {
  setup: '/src/first-run/index.html',
  options: '/src/options/index.html',
} as const
