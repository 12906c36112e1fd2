import { z } from 'zod'
import type { AuditSource, EntryFilter, KeptEntry, KeptLog, KeptRow } from '../audit/source.ts'
import type { QueryResult } from '../store/index.ts'
import type { Client } from './client.ts'
import { CliError } from './errors.ts'

/** Records, and hashes, that are asked for at once: an answer has at most 20,000 rows. */
const pageRecords = 8_000
const pageLeaves = 20_000
/** And bytes: an answer that is too large is cut off without a word. */
const pageBytes = 8_388_608

const number = z.coerce.number()
const Log = z.object({ writer: z.string(), log: z.string(), size: number, signed: number, longest: number })
const Row = z.object({ form: z.enum(['record', 'checkpoint']), text: z.string() })
const Leaf = z.object({ seq: number, leaf: z.string() })
const Note = z.object({ text: z.string() })
const Entry = z.object({ writer: z.string(), log: z.string(), seq: number, text: z.string() })
const KeyRow = z.object({ writer: z.string(), log: z.string(), publicKey: z.string() })

/** The trail as a running instance's store has it, read through the console's API a page at a time. */
export class StoredAudit implements AuditSource {
  readonly #client: Client
  /** Bytes of the longest record, as far as it is known. */
  #longest: number | undefined

  constructor(client: Client) {
    this.#client = client
  }

  async logs(): Promise<readonly KeptLog[]> {
    const found = z.array(Log).parse((await this.#ask('audit-logs', {})).rows)
    this.#longest = Math.max(1, ...found.map(({ longest }) => longest))
    // A log of whose records none is left has its checkpoints yet.
    return found.map(({ writer, log, signed, size }) => ({ writer, log, size: Math.max(size, signed) }))
  }

  async *rows({ writer, log, size }: KeptLog): AsyncGenerator<readonly KeptRow[]> {
    // The last checkpoint has the number after the last record.
    const end = size + 1
    for (let from = 0, records = await this.#page(); from < end; ) {
      const answer = await this.#ask('audit-log', { writer, log, from, until: Math.min(end, from + records) })
      if (answer.truncated) {
        if (records === 1) throw new CliError('REFUSED', `record ${from} of log ${log} stands in the store more often than can be read`)
        records = Math.max(1, Math.floor(records / 4))
        continue
      }
      yield z.array(Row).parse(answer.rows)
      from += records
    }
  }

  async leaves({ writer, log }: Pick<KeptLog, 'writer' | 'log'>, size: number): Promise<readonly Buffer[]> {
    const leaves: Buffer[] = []
    for (let from = 0; from < size; from += pageLeaves) {
      const { rows } = await this.#ask('audit-leaves', { writer, log, from, until: Math.min(size, from + pageLeaves) })
      for (const { leaf } of z.array(Leaf).parse(rows)) leaves.push(Buffer.from(leaf, 'base64'))
    }
    return leaves
  }

  async checkpoint({ writer, log }: Pick<KeptLog, 'writer' | 'log'>): Promise<string | undefined> {
    return z.array(Note).parse((await this.#ask('audit-checkpoint', { writer, log })).rows)[0]?.text
  }

  async *entries(filter: EntryFilter): AsyncGenerator<readonly KeptEntry[]> {
    let after: { readonly afterLog?: string; readonly afterSeq?: number } = {}
    for (let limit = await this.#page(); ; ) {
      const answer = await this.#ask('audit-entries', { ...filter, ...after, limit })
      if (answer.truncated && limit > 1) {
        limit = Math.max(1, Math.floor(limit / 4))
        continue
      }
      const entries = z.array(Entry).parse(answer.rows)
      const last = entries.at(-1)
      if (last === undefined) return
      yield entries
      if (entries.length < limit) return
      after = { afterLog: last.log, afterSeq: last.seq }
    }
  }

  async keys() {
    return z.array(KeyRow).parse((await this.#ask('audit-keys', {})).rows)
  }

  async #page(): Promise<number> {
    if (this.#longest === undefined) await this.logs()
    return Math.min(pageRecords, Math.max(1, Math.floor(pageBytes / (this.#longest ?? 1))))
  }

  #ask(name: string, params: Readonly<Record<string, unknown>>): Promise<QueryResult> {
    return this.#client.post<QueryResult>('/api/query', { name, params })
  }
}
