import type { Command } from 'commander'
import type { DeadLetterView } from '../../console/port.ts'
import { parseInstant } from '../duration.ts'
import { type Column, cell, when } from '../output.ts'
import { type ClientFlags, clientCommand, connect } from './client-command.ts'

const columns: readonly Column[] = [
  { title: 'DEAD LETTER', of: (d: DeadLetterView) => d.id },
  { title: 'GIVEN UP', of: (d: DeadLetterView) => when(d.at) },
  { title: 'RECORD', of: (d: DeadLetterView) => placeOf(d) },
  { title: 'CODE', of: (d: DeadLetterView) => d.code },
  { title: 'WHY', of: (d: DeadLetterView) => d.reason },
]

interface Listed {
  readonly topic?: string
  readonly since?: string
  readonly limit: string
}

export function deadLettersCommand(program: Command): void {
  const letters = program.command('dead-letters').description('records that could not be used, and why; try them again')
  clientCommand(letters.command('list', { isDefault: true }).description('the newest, newest last'))
    .option('--topic <name>', 'only records of this topic')
    .option('--since <time>', 'ISO 8601, milliseconds, or 1h for an hour ago')
    .option('--limit <n>', 'at most so many, up to 1000', '100')
    .action(async (flags: ClientFlags & Listed) => {
      const { client, output } = connect(flags)
      const since = flags.since === undefined ? undefined : String(parseInstant(flags.since, Date.now()))
      const query = { topic: flags.topic, since, limit: flags.limit }
      const { deadLetters } = await client.get<{ deadLetters: DeadLetterView[] }>('/api/dead-letters', query)
      output.list(deadLetters, columns, 'no dead letters')
    })
  clientCommand(letters.command('show <id>').description('one dead letter, with what is kept of its record')).action(
    async (id: string, flags: ClientFlags) => {
      const { client, output } = connect(flags)
      const letter = await client.get<DeadLetterView>('/api/dead-letters/one', { id })
      output.one(letter, describe(letter))
    },
  )
  clientCommand(letters.command('replay <id>').description('put its record on its topic again, once what was wrong with it is mended'))
    .option('--by <name>', 'who asks for it', process.env.USER ?? 'operator')
    .action(async (id: string, flags: ClientFlags & { by: string }) => {
      const { client, output } = connect(flags)
      const body = { id, by: flags.by }
      const place = await client.post<{ topic: string; partition: number; offset: number }>('/api/dead-letters/replay', body)
      output.one(place, `published again: ${placeOf(place)}`)
    })
}

function placeOf({ topic, partition, offset }: Pick<DeadLetterView, 'topic' | 'partition' | 'offset'>): string {
  // An intake refused it before it was on the bus.
  return offset < 0 ? `${topic}, never on the bus` : `${topic}/${partition}@${offset}`
}

function describe(letter: DeadLetterView): string {
  const value = Buffer.from(letter.value, 'base64')
  const cut = value.length < letter.size ? `, the first ${value.length} follow` : ''
  return [
    `${letter.id}  given up ${when(letter.at)}`,
    `record ${placeOf(letter)}, key ${letter.key ?? '–'}`,
    `${letter.code}: ${letter.reason}`,
    '',
    ...Object.entries(letter.headers).map(([name, text]) => `${name}: ${text}`),
    '',
    `value of ${letter.size} bytes${cut}:`,
    ...value.toString('utf8').split('\n'),
  ]
    .map(cell)
    .join('\n')
}
