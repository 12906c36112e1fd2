import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Check, Result } from './check.ts'
import { worst } from './check.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))

/** In a process of its own: what was built for another processor ends the process that loads it. */
export async function loads(name: string): Promise<Result> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', `await import(${JSON.stringify(name)}); process.exit(0)`], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let text = ''
  child.stderr.setEncoding('utf8').on('data', (part: string) => {
    text = (text + part).slice(-4_096)
  })
  const { promise, resolve } = Promise.withResolvers<Result>()
  child.once('error', (error) => resolve({ status: 'fail', found: `${name}: ${error.message}` }))
  child.once('close', (code, signal) => {
    if (code === 0) return resolve({ status: 'ok', found: `${name} loads` })
    const said = text.split('\n').find((line) => /Error|error/.test(line)) ?? ''
    const how = signal === null ? said.slice(0, 300) : `ended by ${signal}`
    const advice =
      signal === 'SIGILL'
        ? 'this processor lacks instructions that it was built with (SSE4.2, AVX on x64): use another machine'
        : 'run `npm ci` on this machine, with install scripts allowed; Alpine (musl) is not supported'
    resolve({ status: 'fail', found: `${name} does not load: ${how}`, advice })
  })
  const timer = setTimeout(() => child.kill('SIGKILL'), 25_000)
  const result = await promise
  clearTimeout(timer)
  return result
}

export const nativeCheck: Check = {
  id: 'native-parts',
  title: 'Native parts',
  deadlineMs: 30_000,
  async run({ config }) {
    const needed = ['lmdb', ...(config.store.url === null ? ['chdb'] : [])]
    return worst(await Promise.all(needed.map(loads)), 'none is needed')
  },
}
