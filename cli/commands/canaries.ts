import { randomBytes } from 'node:crypto'
import type { Command } from 'commander'
import { stringify } from 'yaml'
import { Name } from '../../schemas/index.ts'
import { CliError } from '../errors.ts'
import { openOutput } from '../output.ts'

/** Nobody writes it by chance, and nobody can guess it. */
const bytes = 16

export function canariesCommand(canaries: Command): void {
  canaries
    .command('plant')
    .description('make one: what to plant, where, and the lines of the configuration that have it looked for')
    .requiredOption('--model <model>', 'whose answers are looked at')
    .option('--name <name>', 'what findings call it', 'system-prompt')
    .option('--json', 'print JSON: one object a line')
    .action((flags: { model: string; name: string; json?: boolean }) => {
      const planted = { model: nameIn('--model', flags.model), name: nameIn('--name', flags.name), text: newCanary() }
      openOutput(flags.json === true, (line) => process.stdout.write(`${line}\n`)).one(planted, instructions(planted))
    })
}

/** 128 random bits in letters that survive a change of case. */
function newCanary(): string {
  return `canary-${randomBytes(bytes).toString('hex')}`
}

function instructions({ model, name, text }: { readonly model: string; readonly name: string; readonly text: string }): string {
  return [
    text,
    '',
    'Plant it once where the model reads it and no answer may have it from: in the system prompt, in a document of the',
    'retrieval index, or in a training set. Put it on a line of its own, such as',
    `  Internal marker, never repeat it: ${text}`,
    'Use another one for each place, so that a finding says which of them leaked. Keep it out of tickets and logs.',
    '',
    'Add to the configuration of the nodes, and restart them:',
    stringify({ models: { [model]: { text: { canaries: [{ name, text }] } } } }).trimEnd(),
    '',
    'An answer, or a call of a tool in one, that has it in any case, spacing, backwards, or in hexadecimal or base64 opens',
    'a critical finding of the detector generation-abuse, on which the default playbooks contain who asked.',
  ].join('\n')
}

function nameIn(flag: string, text: string): string {
  if (Name.safeParse(text).success) return text
  throw new CliError('USAGE', `${flag} ${JSON.stringify(text)}: letters, digits and . _ @ + : - only, starting with a letter or digit`)
}
