import { LastUsed } from '../bounded/last-used.ts'
import type { Instant, Share, Spending, SpendingLine } from '../schemas/index.ts'

/** Lines of which a word is kept; the one that was silent for longest goes first. */
const mostLines = 10_000
/** Whoever still needs what it asked for asks again within half of that time. */
const staleMs = 2_000

interface Word {
  readonly node: string
  readonly at: Instant
  readonly said: SpendingLine
  readonly heardAt: Instant
}

/**
 * What nodes said while nobody was in charge to hear it: the newest word of each line, until the log shows that somebody heard it.
 * Whoever takes charge begins with it. So a call that waits is not asked to ask again, and what a node spent beyond its share, or gave
 * back, and says only once, counts all the same. Pure; repeating a word grants nothing twice, see {@link Ledger}.
 */
export class Unanswered {
  readonly #words = new LastUsed<string, Word>(mostLines)

  note({ node, at, lines }: Spending, now: Instant): void {
    for (const said of lines) {
      const key = keyOf(said.bucket, said.line)
      const before = this.#words.peek(key)
      if (before === undefined || before.at <= at) this.#words.set(key, { node, at, said, heardAt: now })
    }
  }

  /** The log has it from whoever is in charge. */
  forget({ bucket, lines }: Share): void {
    for (const { line, at } of lines) {
      const key = keyOf(bucket, line)
      const word = this.#words.peek(key)
      if (word !== undefined && word.at <= at) this.#words.delete(key)
    }
  }

  /** All of it, once. Who asked too long ago may be gone, or need it no more: of them only what they spent and gave back counts. */
  take(now: Instant): readonly Spending[] {
    const words = [...this.#words.values()]
    for (const { said } of words) this.#words.delete(keyOf(said.bucket, said.line))
    return words.map(({ node, at, said, heardAt }) => {
      const isFresh = now - heardAt <= staleMs
      return { node, at, lines: [isFresh ? said : { ...said, needs: 0, wants: 0 }] }
    })
  }
}

/** No line's name has a space. */
function keyOf(bucket: string, line: string): string {
  return `${line} ${bucket}`
}
