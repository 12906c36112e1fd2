import { openHalve, openLearn, openLikelihoods } from './character-kernels.ts'
import { modelPlace, place, scriptCount } from './memory.ts'

/** Counts are halved at so many characters, so that the model follows its traffic. */
const memorable = 2_000_000

/**
 * How likely each character is after the two before it, learned on line: counts of three, two and one characters in
 * tables of fixed size, interpolated from the longest to the shortest (Jelinek and Mercer), each count discounted so
 * that what was read once or twice is not yet known. Below single characters stands the script: a script that was not
 * read before costs its switch once, then the size of its alphabet.
 */
export interface CharacterModel {
  /** Prompts it has learned from. */
  learned: number
  /** Characters read, less what was forgotten. */
  total: number
  /**
   * How often each triple, pair and single character was read, each at the place that its hash says, and by script the scripts that
   * followed.
   */
  readonly counts: Uint16Array
  /** By script, how many characters followed. */
  readonly scriptTotals: Uint32Array
  /** Writes to `Pieces` how likely each of them is. */
  readonly measure: () => void
  /** Counts `[from, until)` of `Units`, one at least, each after the two before it. */
  readonly learn: (from: number, until: number) => void
}

/**
 * @returns opens a model at one of the places of the memory, over the one that was there, which must not be used any more. It begins with
 *   what `known` knows, by default with nothing.
 */
export function openCharacterModels(memory: WebAssembly.Memory): (index: number, known?: CharacterModel) => CharacterModel {
  const { buffer } = memory
  new Uint8Array(buffer, place.scripts, 65_536).set(scriptTable())
  new Float64Array(buffer, place.alphabets, scriptCount).set(alphabets)
  const [likelihoods, learn, halve] = [openLikelihoods(memory), openLearn(memory), openHalve(memory)]
  return (index, known) => {
    const at = place.models + index * modelPlace.end
    const model = {
      learned: 0,
      total: known?.total ?? 0,
      counts: new Uint16Array(buffer, at, modelPlace.totals / 2),
      scriptTotals: new Uint32Array(buffer, at + modelPlace.totals, scriptCount),
      measure: () => likelihoods(at),
      learn: (from: number, until: number) => {
        learn(at, from, until)
        model.total += until - from
        if (model.total <= memorable) return
        halve(at)
        model.total = Math.floor(model.total / 2)
      },
    }
    if (known === undefined) {
      model.counts.fill(0)
      model.scriptTotals.fill(0)
    } else {
      model.counts.set(known.counts)
      model.scriptTotals.set(known.scriptTotals)
    }
    return model
  }
}

let scriptsOfUnits: Uint8Array | undefined

function scriptTable(): Uint8Array {
  scriptsOfUnits ??= Uint8Array.from({ length: 65_536 }, (_, unit) => scriptOf(unit))
  return scriptsOfUnits
}

/** Blocks of code units that are read as one script; alphabets by 256, the large ones whole. */
function scriptOf(unit: number): number {
  if (unit < 0x80) return 0
  if (unit < 0x1000) return 1 + (unit >>> 8)
  if (unit < 0x2e80) return 17 + ((unit >>> 9) & 7)
  if (unit < 0x3100) return 25
  if (unit < 0xa000) return 26
  if (unit < 0xd800 && unit >= 0xac00) return 27
  if (unit < 0xe000) return 28
  return 29
}

/** 1 over the characters to choose from in a script, roughly. */
const alphabets = Float64Array.from({ length: scriptCount }, (_, script) => {
  if (script === 0) return 1 / 96
  if (script === 25) return 1 / 256
  if (script === 26) return 1 / 4_096
  if (script === 27) return 1 / 2_048
  return 1 / 128
})
