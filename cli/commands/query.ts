import type { Command } from 'commander'
import type { QueryHelp, QueryResult } from '../../console/port.ts'
import type { Client } from '../client.ts'
import { isDuration, parseInstant } from '../duration.ts'
import { CliError } from '../errors.ts'
import type { Column } from '../output.ts'
import { parseParams } from '../params.ts'
import { type ClientFlags, clientCommand, connect } from './client-command.ts'

const listColumns: readonly Column[] = [
  { title: 'QUERY', of: (q: QueryHelp) => q.name },
  { title: 'PARAMETERS', of: (q: QueryHelp) => q.parameters.map((p) => p.name).join(' ') },
  { title: 'WHAT IT ANSWERS', of: (q: QueryHelp) => q.summary },
]

/** A query of the library with its parameters; where it wants a time, a duration is so long ago. */
async function named(client: Client, name: string | undefined, pairs: readonly string[] = []): Promise<object> {
  const params = parseParams(pairs)
  const spans = Object.entries(params).filter((pair): pair is [string, string] => typeof pair[1] === 'string' && isDuration(pair[1]))
  if (spans.length === 0) return { name, params }
  const { queries } = await client.get<{ queries: QueryHelp[] }>('/api/queries')
  const times = new Set(
    queries.find((query) => query.name === name)?.parameters.flatMap((p) => (p.type.includes('DateTime64') ? [p.name] : [])),
  )
  const now = Date.now()
  for (const [parameter, text] of spans) if (times.has(parameter)) params[parameter] = parseInstant(text, now)
  return { name, params }
}

export function queryCommand(query: Command): void {
  clientCommand(query)
    .option('--param <name=value...>', 'a parameter of the query; a time may be 1h, for an hour ago')
    .option('--sql <text>', 'a SELECT of your own')
    .action(async (name: string | undefined, flags: ClientFlags & { param?: string[]; sql?: string }) => {
      const { client, output } = connect(flags)
      if (name !== undefined && flags.sql !== undefined) throw new CliError('USAGE', 'give a query name or --sql, not both')
      if (name === undefined && flags.sql === undefined) {
        const { queries } = await client.get<{ queries: QueryHelp[] }>('/api/queries')
        output.list(queries, listColumns, 'no queries')
        return
      }
      const answer = await client.post<QueryResult>(
        '/api/query',
        flags.sql === undefined ? await named(client, name, flags.param) : { sql: flags.sql },
      )
      const columns = answer.columns.map(({ name: title }): Column => ({ title, of: (row: Record<string, unknown>) => row[title] }))
      output.list(answer.rows, columns, 'no rows')
    })
}
