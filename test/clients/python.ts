import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)
export const root = fileURLToPath(new URL('../../', import.meta.url))
export const python = `${root}.clients/bin/python`

/** Makes sure that the Python clients are there; minutes when they are not. */
export async function setUpPython(): Promise<void> {
  await run('bash', [`${root}test/clients/setup.sh`], { timeout: 600_000 })
}

/** Runs a script beside this file; throws with what it wrote where it fails. */
export async function runPython(script: string, environment: Readonly<Record<string, string>>): Promise<string> {
  const env = { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '/tmp', PYTHONDONTWRITEBYTECODE: '1', ...environment }
  const { stdout } = await run(python, [`${root}test/clients/${script}`], { env, timeout: 120_000 })
  return stdout
}
