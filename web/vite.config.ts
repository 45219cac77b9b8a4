// How the page is built: hashed assets, ready to be embedded in the daemon.
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vite';

/** Where `npm run dev` finds the API: the mock, or a daemon named by KINGLET_API. */
const api = process.env.KINGLET_API ?? 'http://127.0.0.1:7180';

export default defineConfig({
  // Every address of the page is answered with index.html, so its assets are named from the root.
  base: '/',
  plugins: [svelte()],
  build: {
    target: 'es2023',
    // Data URLs would need `data:` in the content security policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 600,
  },
  server: {
    host: '127.0.0.1',
    proxy: { '/v1': { target: api, ws: true } },
  },
});
