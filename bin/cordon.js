#!/usr/bin/env node
// Runs the command on the Node that the package brings, whatever Node started this file: TypeScript runs by type
// stripping, and the native TensorFlow addon breaks on Node 23 and later.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const main = join(dirname(fileURLToPath(import.meta.url)), '..', 'cli', 'main.ts')
if (process.versions.node.startsWith('22.')) {
  await import(main)
} else {
  const bundled = join(dirname(createRequire(import.meta.url).resolve('node/package.json')), 'bin', 'node')
  if (!existsSync(bundled)) {
    console.error(`cordon needs Node 22, and ${bundled} is missing: run npm ci, with install scripts allowed`)
    process.exit(1)
  }
  const child = spawn(bundled, [main, ...process.argv.slice(2)], { stdio: 'inherit' })
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  child.on('exit', (code, signal) => process.exit(code ?? (signal === null ? 1 : 128 + 15)))
}
