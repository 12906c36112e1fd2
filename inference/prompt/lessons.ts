import type { CharacterModel } from './character-model.ts'
import type { Pieces } from './pieces.ts'

const hour = 3_600_000
/** Prompts of one principal that are learned from in an hour, and code units of each. */
const promptsAnHour = 48
const unitsAPrompt = 8_192
const maxPrincipals = 4_096
const remembered = 16_384

/**
 * What a character model is taught, so that nobody can teach it much: each piece of text once for a long while (so
 * templates, retries and a search around one prompt add little), and few prompts an hour of any one principal.
 */
export class Lessons {
  /** Hashes of pieces that were learned, each at the place its hash says: the last one there stays. */
  readonly #pieces = new Int32Array(remembered)
  readonly #exact = new Int32Array(remembered / 4)
  readonly #taught = new Map<string, number>()
  #hourEnds = 0

  teach(model: CharacterModel, pieces: Pieces, principal: string, exact: string, now: number): void {
    if (pieces.count === 0) return
    if (now >= this.#hourEnds || now < this.#hourEnds - hour) {
      this.#taught.clear()
      this.#hourEnds = now + hour
    }
    const taught = this.#taught.get(principal) ?? 0
    if (taught >= promptsAnHour || (taught === 0 && this.#taught.size >= maxPrincipals)) return
    const mark = Number.parseInt(exact.slice(0, 8), 16) | 0
    if (!isNew(this.#exact, mark)) return
    this.#taught.set(principal, taught + 1)
    const { count } = pieces
    let read = 0
    for (let i = 0; i < count && read < unitsAPrompt; i++) {
      if (!isNew(this.#pieces, pieces.hashes[i] as number)) continue
      const from = pieces.from[i] as number
      const until = pieces.until[i] as number
      model.learn(from, until)
      read += until - from
    }
    model.learned++
  }
}

/** Whether a hash is not at its place; afterwards it is. */
function isNew(table: Int32Array, mark: number): boolean {
  const at = mark & (table.length - 1)
  if (table[at] === mark) return false
  table[at] = mark
  return true
}
