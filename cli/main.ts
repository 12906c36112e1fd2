import { readFileSync } from 'node:fs'
// By itself: with the other contracts, help would cost three times what it does.
import { CordonError } from '../schemas/error.ts'
import { cell } from './output.ts'
import { openProgram } from './program.ts'

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }

try {
  const program = await openProgram(version, process.argv.slice(2))
  await program.parseAsync(process.argv)
} catch (error) {
  fail(error)
}

/** One line on standard error (an object with --json), and a status that scripts can tell apart: 2 for wrong usage, else 1. */
function fail(error: unknown): void {
  const known = error instanceof CordonError
  const usage = known && (error.code === 'USAGE' || error.code.startsWith('CONFIG_'))
  if (process.argv.includes('--json') && known) console.error(JSON.stringify({ code: error.code, error: error.message }))
  else console.error(known ? `cordon: ${error.message.split('\n').map(cell).join('\n')}` : error)
  process.exitCode = usage ? 2 : 1
}
