import type { Command } from 'commander'
import type { QueryHelp, QueryResult } from '../../console/port.ts'
import { CliError } from '../errors.ts'
import type { Column } from '../output.ts'
import { parseParams } from '../params.ts'
import { type ClientFlags, clientCommand, connect } from './client-command.ts'

const listColumns: readonly Column[] = [
  { title: 'QUERY', of: (q: QueryHelp) => q.name },
  { title: 'PARAMETERS', of: (q: QueryHelp) => q.parameters.map((p) => p.name).join(' ') },
  { title: 'WHAT IT ANSWERS', of: (q: QueryHelp) => q.summary },
]

export function queryCommand(program: Command): void {
  clientCommand(
    program
      .command('query [name]')
      .description('ask the store: a query of the forensic library, or SQL (read only); without a name, list them'),
  )
    .option('--param <name=value...>', 'a parameter of the query')
    .option('--sql <text>', 'a SELECT of your own')
    .action(async (name: string | undefined, flags: ClientFlags & { param?: string[]; sql?: string }) => {
      const { client, output } = connect(flags)
      if (name !== undefined && flags.sql !== undefined) throw new CliError('USAGE', 'give a query name or --sql, not both')
      if (name === undefined && flags.sql === undefined) {
        const { queries } = await client.get<{ queries: QueryHelp[] }>('/api/queries')
        output.list(queries, listColumns, 'no queries')
        return
      }
      const body = flags.sql === undefined ? { name, params: parseParams(flags.param ?? []) } : { sql: flags.sql }
      const answer = await client.post<QueryResult>('/api/query', body)
      const columns = answer.columns.map(({ name: title }): Column => ({ title, of: (row: Record<string, unknown>) => row[title] }))
      output.list(answer.rows, columns, 'no rows')
    })
}
