import { memoryOf } from '../kernels/kernel.ts'

/** Code units of a text that are read. */
export const readAtMost = 65_536
/** Code units that may lie between them, see `Units`. */
export const hole = 256
/** Pieces of a text; only one in messages shorter than a piece has as many. */
export const mostPieces = readAtMost / 4
/** More than the scripts that are told apart. */
export const scriptCount = 32
/** Units whose letters hash by table, and units whose probability by themselves is in one. */
export const latin = 256
export const ascii = 128

/** Bits of the places of counts, see `CharacterModel`. */
export const tripleBits = 18
export const pairBits = 16
export const singleBits = 12

/** @returns gives stretches of bytes one after the other, each where any value may begin */
function givesBytes(): (bytes: number) => number {
  let end = 0
  return (bytes) => {
    const at = end
    end += Math.ceil(bytes / 16) * 16
    return at
  }
}

const next = givesBytes()
/**
 * Where a fingerprinter keeps what its kernels read and write, in bytes from the start of the one memory that they share: so nothing is
 * handed over for each character. Kernels have these numbers in their text.
 */
export const place = {
  /** Two line feeds right before the units: what is taken to stand before a text. */
  before: next(16) + 12,
  /** uint16 */
  units: next(2 * (readAtMost + hole)),
  /** By code unit: `CharacterClass`, uint8; the unit folded, uint16; its script, uint8. */
  classes: next(65_536),
  folded: next(2 * 65_536),
  scripts: next(65_536),
  /** int32, see `ChunkKey`. */
  key: next(4 * (5 + latin)),
  /** How many pieces there are, int32, and the columns of `Pieces`: int32 each, levels uint8, likelihoods float64. */
  pieces: next(4),
  hashes: next(4 * mostPieces),
  from: next(4 * mostPieces),
  until: next(4 * mostPieces),
  levels: next(mostPieces),
  likelihoods: next(8 * mostPieces),
  /** float64: 1 over the size of each script's alphabet, and the probability of each ASCII character by itself. */
  alphabets: next(8 * scriptCount),
  alone: next(8 * ascii),
  /** Character models, one after the other. */
  models: next(0),
} as const

const nextOfModel = givesBytes()
/** Where a character model keeps its counts, uint16, by kind, and its totals by script, uint32; in bytes from its start. */
export const modelPlace = {
  triples: nextOfModel(2 << tripleBits),
  pairs: nextOfModel(2 << pairBits),
  singles: nextOfModel(2 << singleBits),
  scripts: nextOfModel(2 * scriptCount * scriptCount),
  totals: nextOfModel(4 * scriptCount),
  end: nextOfModel(0),
} as const

/** @param models places for character models, 0.7 MB each once a model is opened there */
export function openMemory(models: number): WebAssembly.Memory {
  return memoryOf(place.models + models * modelPlace.end)
}
