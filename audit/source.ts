import { isCheckpointSignedBy, readCheckpoint, type SignedCheckpoint } from './checkpoint.ts'
import { AuditError } from './errors.ts'
import type { Proof } from './proof.ts'
import { readPlace } from './record.ts'
import { FullTree } from './tree.ts'

/** A log as whoever keeps it knows it. */
export interface KeptLog {
  readonly writer: string
  readonly log: string
  /** One more than the number of its last record. */
  readonly size: number
}

export interface KeptRow {
  readonly form: 'record' | 'checkpoint'
  readonly text: string
}

export interface KeptEntry {
  readonly writer: string
  readonly log: string
  readonly seq: number
  readonly text: string
}

export interface EntryFilter {
  readonly id?: string | undefined
  readonly principal?: string | undefined
  /** Milliseconds. */
  readonly since?: number | undefined
  readonly until?: number | undefined
}

/** Where trails are kept; nothing that it says is believed. */
export interface AuditSource {
  logs(): Promise<readonly KeptLog[]>
  /** In the order of an export. */
  rows(log: KeptLog): AsyncIterable<readonly KeptRow[]>
  /** Hashes of the records 0 to `size`, exclusive. */
  leaves(log: Pick<KeptLog, 'writer' | 'log'>, size: number): Promise<readonly Buffer[]>
  /** Text of the newest checkpoint. */
  checkpoint(log: Pick<KeptLog, 'writer' | 'log'>): Promise<string | undefined>
  entries(filter: EntryFilter): AsyncIterable<readonly KeptEntry[]>
  /** Public keys that the logs state, base64, the oldest first. */
  keys(): Promise<readonly { readonly writer: string; readonly log: string; readonly publicKey: string }[]>
}

/** Everything, as {@link verifyExport} takes it: text in pieces. */
export async function* exportAll(source: AuditSource): AsyncGenerator<Buffer> {
  for (const log of await source.logs()) {
    for await (const rows of source.rows(log)) {
      yield Buffer.from(rows.map(({ form, text }) => `${form === 'record' ? text : JSON.stringify({ checkpoint: text })}\n`).join(''))
    }
  }
}

/** Makes proofs of records, with the tree of each log built once. */
export class Prover {
  readonly #source: AuditSource
  /** The log that was proved of last: records come log by log. */
  #last: { readonly log: string; readonly tree: FullTree; readonly checkpoint: SignedCheckpoint; readonly text: string } | undefined

  constructor(source: AuditSource) {
    this.#source = source
  }

  /**
   * @param keys base64; the writer's must be among them
   * @returns null where no checkpoint covers the record yet
   * @throws AuditError `AUDIT_UNREADABLE` where what is kept does not fit what was signed
   */
  async prove(entry: KeptEntry, keys: readonly string[]): Promise<Proof | null> {
    const { tree, checkpoint, text } = await this.#treeOf(entry)
    if (entry.seq >= checkpoint.size) return null
    const publicKey = keys.find((key) => isCheckpointSignedBy(checkpoint, key))
    if (publicKey === undefined || !tree.root().equals(checkpoint.root) || readPlace(Buffer.from(entry.text))?.seq !== entry.seq) {
      const message = `Proving record ${entry.seq} of log ${entry.log}: what is kept is not what was signed; "cordon audit verify" says where.`
      throw new AuditError('AUDIT_UNREADABLE', message)
    }
    return { record: entry.text, path: tree.path(entry.seq).map((hash) => hash.toString('base64')), checkpoint: text, publicKey }
  }

  async #treeOf(entry: KeptEntry) {
    if (this.#last?.log === entry.log) return this.#last
    const text = await this.#source.checkpoint(entry)
    const checkpoint = text === undefined ? undefined : readCheckpoint(text)
    if (text === undefined || checkpoint === undefined || checkpoint.log !== entry.log)
      throw new AuditError(
        'AUDIT_UNKNOWN',
        `Proving record ${entry.seq} of log ${entry.log}: no checkpoint of it is kept yet; try again in a moment.`,
      )
    const tree = new FullTree(await this.#source.leaves(entry, checkpoint.size))
    this.#last = { log: entry.log, tree, checkpoint, text }
    return this.#last
  }
}
