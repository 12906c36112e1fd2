import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

// No inlined assets and no module preload polyfill: the console's content policy allows scripts from its own origin only.
export default defineConfig({
  plugins: [react()],
  build: { target: 'es2022', assetsInlineLimit: 0, modulePreload: { polyfill: false }, reportCompressedSize: false },
})
