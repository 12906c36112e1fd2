import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { stringify } from 'yaml'

const binary = fileURLToPath(new URL('../../bin/cordon.js', import.meta.url))

export interface Ran {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

/** Runs `cordon` to its end, with a configuration file of these settings. */
export async function cordon(config: object, args: readonly string[]): Promise<Ran> {
  const directory = await mkdtemp(join(tmpdir(), 'cordon-cli-'))
  try {
    const file = join(directory, 'cordon.config.yaml')
    await writeFile(file, stringify(config))
    const child = spawn(process.execPath, [binary, ...args, '--config', file], { stdio: ['ignore', 'pipe', 'pipe'] })
    const ended = new Promise<number | null>((resolve) => child.once('exit', resolve))
    const [out, err, code] = await Promise.all([text(child.stdout), text(child.stderr), ended])
    return { code, out, err }
  } finally {
    await rm(directory, { recursive: true })
  }
}

/** What a command printed with --json. */
export function lines<T>({ out }: Ran): T[] {
  return parseLines(out)
}

export function parseLines<T>(text: string): T[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as T)
}
