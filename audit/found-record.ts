/** A record as the verifier takes it. */
export interface FoundRecord {
  readonly seq: number
  /** Hash of the record before, as it says; base64. */
  readonly prev: string
  readonly leaf: Buffer
  readonly line: number
  /** The record's text, for the few that say more than where they stand; undefined for entries. */
  readonly statement: Statement | undefined
}

/** What `opened` and `key` records say. */
export interface Statement {
  readonly kind: 'opened' | 'key'
  readonly writer?: string | undefined
  readonly publicKey: string
  readonly signature?: string | undefined
  readonly after?: { readonly log: string; readonly size: number; readonly head: string } | null | undefined
}
