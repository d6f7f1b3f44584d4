import { join } from 'node:path'
import { defineConfig, type EnvironmentOptions } from 'vite'

/** Builds the stand-in wallet into dist/wallet, a folder that a browser loads as it is. */
export default defineConfig({
  root: import.meta.dirname,
  logLevel: 'warn',
  build: {
    outDir: join(import.meta.dirname, '..', '..', 'dist', 'wallet'),
    emptyOutDir: false,
    target: 'es2022',
    modulePreload: false,
    minify: false,
  },
  environments: {
    client: {
      build: { emptyOutDir: true, rolldownOptions: { input: ['home.html', 'notification.html', 'settings.html'] } },
    },
    background: script('background', 'src/background/main.ts', 'es'),
    content: script('content', 'src/page/content.ts', 'iife'),
    inpage: script('inpage', 'src/page/inpage.ts', 'iife'),
  },
  builder: {
    async buildApp(builder) {
      for (const environment of Object.values(builder.environments)) await builder.build(environment)
    },
  },
})

/**
 * One file that imports nothing when it runs, which service workers forbid. What runs in pages is wrapped in a function,
 * or its names would become the page's.
 */
function script(name: string, input: string, format: 'es' | 'iife'): EnvironmentOptions {
  return {
    consumer: 'client',
    build: {
      copyPublicDir: false,
      rolldownOptions: {
        input: { [name]: input },
        output: { format, entryFileNames: '[name].js', codeSplitting: false },
      },
    },
  }
}
