import { tables } from '../../store/index.ts'

/** Runs a statement and answers its rows. */
export type Sql = (text: string) => Promise<Record<string, unknown>[]>

/** Rows beyond the first of an event, over all tables. */
export async function countDuplicates(sql: Sql): Promise<number> {
  let duplicated = 0
  for (const table of tables) {
    const [row] = await sql(`SELECT count() - uniqExact(id) AS extra FROM ${table}`)
    duplicated += Number(row?.extra ?? 0)
  }
  return duplicated
}

/** How many of the ids are in no row. */
export async function countMissing(sql: Sql, ids: ReadonlySet<string>, column: string, rows: string): Promise<number> {
  const asked = [...ids]
  let there = 0
  for (let i = 0; i < asked.length; i += 1_500) {
    const some = asked.slice(i, i + 1_500).map((id) => `'${id}'`)
    const [row] = await sql(`SELECT uniqExact(${column}) AS n FROM (SELECT * FROM ${rows}) WHERE ${column} IN (${some.join(',')})`)
    there += Number(row?.n ?? 0)
  }
  return asked.length - there
}
