import type { Instant } from '../schemas/index.ts'

/** What a request takes, or took. */
export interface Usage {
  /** Inputs. */
  readonly requests: number
  /** Of prompt and answer. */
  readonly tokens: number
  /** In the price table's currency. */
  readonly cost: number
}

/** Whom a limit may be about. */
export interface Payer {
  readonly principal: string
  readonly organization: string | null
  readonly keyId: string | null
  /** Many call by that key: it is the client of an identity provider that they came through. */
  readonly sharedKey: boolean
  readonly model: string
  /** Of the credential; null where nobody says. */
  readonly keyCreatedAt: Instant | null
  /** 0 to 1, of findings about the principal. */
  readonly risk: number
  /** The address is not among those that the principal used before. */
  readonly newPlace: boolean
}

/** Room that was set aside before a call, so that calls at the same time cannot overspend together. */
export type Reservation =
  | {
      readonly ok: true
      /** `RateLimit-Policy` and `RateLimit`, of the tightest limit; empty where none applies. */
      readonly headers: Readonly<Record<string, string>>
      /** Once, whatever became of the call: gives back what it did not take, or takes what exceeds it. */
      settle(used: Usage, now: Instant): void
    }
  | {
      readonly ok: false
      /** Waiting that long is enough; with `never` nothing but asking for less is. */
      readonly retryMs: number
      readonly never: boolean
      /** For the client: the same words whoever is limited. */
      readonly message: string
      readonly headers: Readonly<Record<string, string>>
      /** Names of the limits, for the record. */
      readonly policies: readonly string[]
    }

/** Limits by requests, tokens and cost. Synchronous: whatever nodes have to agree on is agreed on beforehand. */
export interface Meter {
  /** @param most what the call may take at most */
  reserve(payer: Payer, most: Usage, now: Instant): Reservation
  /**
   * After a refusal: a promise where nodes may agree on more within a moment, such as at the first call of a payer at this
   * node; undefined where waiting is in vain. It resolves with the reservation, or with the refusal once it is final.
   */
  agree?(payer: Payer, most: Usage, now: Instant): Promise<Reservation> | undefined
}
