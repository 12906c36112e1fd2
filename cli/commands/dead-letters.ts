import type { Command } from 'commander'
import type { DeadLetterView } from '../../console/port.ts'
import type { Client } from '../client.ts'
import { parseInstant } from '../duration.ts'
import { CliError } from '../errors.ts'
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

export function deadLettersCommand(letters: Command): void {
  clientCommand(letters.command('list', { isDefault: true }).description('the newest, newest last'))
    .option('--topic <name>', 'only records of this topic')
    .option('--since <time>', 'ISO 8601, milliseconds, or 1h for an hour ago')
    .option('--limit <n>', 'at most so many, up to 1000', '100')
    .action(async (flags: ClientFlags & Listed) => {
      const { client, output } = connect(flags)
      output.list(await find(client, flags), columns, 'no dead letters')
    })
  clientCommand(letters.command('show <id>').description('one dead letter, with what is kept of its record')).action(
    async (id: string, flags: ClientFlags) => {
      const { client, output } = connect(flags)
      const letter = await client.get<DeadLetterView>('/api/dead-letters/one', { id })
      output.one(letter, describe(letter))
    },
  )
  clientCommand(
    letters
      .command('replay [id]')
      .description('put its record on its topic again, once what was wrong is mended; what was handled stays handled'),
  )
    .option('--all', 'every dead letter of --topic, instead of one by its id')
    .option('--topic <name>', 'with --all: records of this topic')
    .option('--since <time>', 'with --all: those given up since; ISO 8601, milliseconds, or 1h for an hour ago')
    .option('--limit <n>', 'with --all: at most so many, the newest, up to 1000', '1000')
    .option('--by <name>', 'who asks for it', process.env.USER ?? 'operator')
    .action(async (id: string | undefined, flags: ClientFlags & Listed & { all?: boolean; by: string }) => {
      const { client, output } = connect(flags)
      if ((id === undefined) !== (flags.all === true)) throw new CliError('USAGE', 'give the id of a dead letter, or --all with --topic')
      if (id !== undefined) {
        const place = await replay(client, id, flags.by)
        return output.one(place, `published again: ${placeOf(place)}`)
      }
      if (flags.topic === undefined) throw new CliError('USAGE', '--all wants --topic: the topic whose records are to be tried again')
      const tried = await replayAll(client, await find(client, flags), flags.by)
      if (tried.some(({ error }) => error !== null)) process.exitCode = 1
      output.list(tried, triedColumns, 'no dead letters')
    })
}

interface Tried {
  readonly id: string
  /** Where it went; null where it could not be replayed. */
  readonly place: Place | null
  readonly error: string | null
}
type Place = Pick<DeadLetterView, 'topic' | 'partition' | 'offset'>

const triedColumns: readonly Column[] = [
  { title: 'DEAD LETTER', of: (t: Tried) => t.id },
  { title: 'PUBLISHED AGAIN', of: (t: Tried) => (t.place === null ? 'NO' : placeOf(t.place)) },
  { title: 'WHY NOT', of: (t: Tried) => t.error },
]

async function find(client: Client, { topic, since, limit }: Listed): Promise<readonly DeadLetterView[]> {
  const from = since === undefined ? undefined : String(parseInstant(since, Date.now()))
  return (await client.get<{ deadLetters: DeadLetterView[] }>('/api/dead-letters', { topic, since: from, limit })).deadLetters
}

function replay(client: Client, id: string, by: string): Promise<Place> {
  return client.post<Place>('/api/dead-letters/replay', { id, by })
}

/** One after another, oldest first; one that cannot be replayed holds up no other. */
async function replayAll(client: Client, letters: readonly DeadLetterView[], by: string): Promise<readonly Tried[]> {
  const tried: Tried[] = []
  for (const { id } of letters) {
    try {
      tried.push({ id, place: await replay(client, id, by), error: null })
    } catch (error) {
      if (!(error instanceof CliError && error.code === 'REFUSED')) throw error
      tried.push({ id, place: null, error: error.message })
    }
  }
  return tried
}

function placeOf({ topic, partition, offset }: Place): string {
  // An intake refused it before it was on the bus.
  return offset < 0 ? `${topic}, never on the bus` : `${topic}/${partition}@${offset}`
}

function describe(letter: DeadLetterView): string {
  const value = Buffer.from(letter.value, 'base64')
  const cut = value.length < letter.size ? `, the first ${value.length} follow` : ''
  return [
    `${letter.id}  given up ${when(letter.at)} by ${letter.source}`,
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
