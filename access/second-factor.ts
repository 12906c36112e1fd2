import { existsSync, readFileSync } from 'node:fs'
import { z } from 'zod'
import type { Instant } from '../schemas/index.ts'
import { AccountError } from './account-errors.ts'
import { type Account, isGood } from './administrators.ts'
import { stepOfCode } from './totp.ts'

const maxWrong = 5
const wrongMs = 5 * 60_000
const longestPauseMs = 24 * 60 * 60_000

/** Newest step used, by account. */
const Used = z.array(z.tuple([z.string().max(128), z.int()])).max(1_024)

export interface SecondFactorsOptions {
  /** Where the codes used last are kept, so that none works again after a restart. */
  readonly file: string
  /** Writes a file whole or not at all, readable by its owner alone. */
  readonly write: (file: string, text: string) => void
  /** How long a code opens the door for its account, milliseconds. */
  readonly windowMs: number
}

export type Proof =
  | { readonly ok: true }
  | { readonly ok: false; readonly reason: 'not-enrolled' | 'wrong' }
  | { readonly ok: false; readonly reason: 'paused'; readonly retryMs: number }

interface Standing {
  /** Of wrong codes within the last five minutes, since the last pause. */
  readonly wrong: readonly Instant[]
  /** Pauses since a code was right. */
  readonly pauses: number
  readonly pausedUntil: Instant
  /** When a code was right last, and for which token and secret. */
  readonly proven: { readonly at: Instant; readonly of: string } | null
}

const fresh: Standing = { wrong: [], pauses: 0, pausedUntil: 0, proven: null }

/**
 * Codes of local accounts (RFC 6238). A code counts once. After five wrong ones within five minutes none does for five
 * minutes, and for twice as long each time, up to a day: three codes count at a time, so guessing at five a day takes a
 * century for an even chance.
 *
 * Tries and windows are this process's own; codes that were used are on disk. The state is bounded by the accounts.
 */
export class SecondFactors {
  readonly #options: SecondFactorsOptions
  readonly #standings = new Map<string, Standing>()

  constructor(options: SecondFactorsOptions) {
    this.#options = options
  }

  /**
   * Takes a code.
   *
   * @throws AccountError `ACCOUNTS_UNREADABLE`, and what writing throws: a code that cannot be marked as used is not taken
   */
  prove(account: Account, code: string, now: Instant): Proof {
    const { name, totp } = account
    if (totp === null || totp.step === null || !isGood(account, now)) return { ok: false, reason: 'not-enrolled' }
    const standing = this.#standings.get(name) ?? fresh
    if (now < standing.pausedUntil) return { ok: false, reason: 'paused', retryMs: standing.pausedUntil - now }
    const used = this.#readUsed()
    const step = stepOfCode(totp.secret, code, now)
    if (step === null || step <= Math.max(totp.step, used.get(name) ?? 0)) {
      this.#standings.set(name, afterWrong(standing, now))
      return { ok: false, reason: 'wrong' }
    }
    const marked = new Map(used).set(name, step)
    this.#options.write(this.#options.file, `${JSON.stringify([...marked])}\n`)
    this.#standings.set(name, { ...fresh, proven: { at: now, of: proverOf(account) } })
    return { ok: true }
  }

  /** When the account last proved it, where that still counts; a new token or a new secret needs a new proof. */
  provenAt(account: Account, now: Instant): Instant | null {
    const proven = this.#standings.get(account.name)?.proven ?? null
    if (proven === null || proven.of !== proverOf(account) || !isGood(account, now)) return null
    return now - proven.at < this.#options.windowMs ? proven.at : null
  }

  #readUsed(): ReadonlyMap<string, number> {
    const { file } = this.#options
    if (!existsSync(file)) return new Map()
    try {
      return new Map(Used.parse(JSON.parse(readFileSync(file, 'utf8'))))
    } catch (cause) {
      throw new AccountError('ACCOUNTS_UNREADABLE', `Reading which codes were used in ${file}: it is torn; delete it after a minute.`, {
        cause,
      })
    }
  }
}

function afterWrong({ wrong, pauses, pausedUntil, proven }: Standing, now: Instant): Standing {
  const recent = [...wrong.filter((at) => now - at < wrongMs), now]
  if (recent.length < maxWrong) return { wrong: recent, pauses, pausedUntil, proven }
  const pauseMs = Math.min(longestPauseMs, wrongMs * 2 ** Math.min(pauses, 16))
  return { wrong: [], pauses: pauses + 1, pausedUntil: now + pauseMs, proven }
}

function proverOf({ tokenHash, totp }: Account): string {
  return `${tokenHash}/${totp?.secret ?? ''}`
}
