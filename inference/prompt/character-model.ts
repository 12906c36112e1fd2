/**
 * How likely each character is after the two before it, learned on line: counts of three, two and one characters in
 * tables of fixed size, interpolated from the longest to the shortest (Jelinek and Mercer), each count discounted so
 * that what was read once or twice is not yet known. Below single characters stands the script: a script that was not
 * read before costs its switch once, then the size of its alphabet.
 */
export interface CharacterModel {
  /** Prompts it has learned from. */
  learned: number
  readonly triples: Uint16Array
  readonly pairs: Uint16Array
  readonly singles: Uint32Array
  /** By script, the scripts that followed. */
  readonly scripts: Uint16Array
  readonly scriptTotals: Uint32Array
  /** Characters read, less what was forgotten. */
  total: number
}

const tripleBits = 18
const pairBits = 16
const singleBits = 12
const scriptCount = 32
/** What was read this often or less says nothing yet: one strange text must not make itself ordinary. */
const discount = 1.5
/** Weight of the shorter context. */
const backoff = 5
/** How often a script is taken to have followed itself before anything was read in it, and how many characters its whole alphabet counts for. */
const steady = 16
const unread = 50
/** Counts are halved at so many characters, so that the model follows its traffic. */
const memory = 2_000_000

/** 0.7 MB. */
export function emptyModel(): CharacterModel {
  return {
    learned: 0,
    triples: new Uint16Array(1 << tripleBits),
    pairs: new Uint16Array(1 << pairBits),
    singles: new Uint32Array(1 << singleBits),
    scripts: new Uint16Array(scriptCount * scriptCount),
    scriptTotals: new Uint32Array(scriptCount),
    total: 0,
  }
}

export function copyOf(model: CharacterModel): CharacterModel {
  return {
    learned: model.learned,
    triples: model.triples.slice(),
    pairs: model.pairs.slice(),
    singles: model.singles.slice(),
    scripts: model.scripts.slice(),
    scriptTotals: model.scriptTotals.slice(),
    total: model.total,
  }
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

/** Characters to choose from in a script, roughly. */
const alphabet = Float64Array.from({ length: scriptCount }, (_, script) => {
  if (script === 0) return 1 / 96
  if (script === 25) return 1 / 256
  if (script === 26) return 1 / 4_096
  if (script === 27) return 1 / 2_048
  return 1 / 128
})

function tripleAt(a: number, b: number, c: number): number {
  return (Math.imul(Math.imul(Math.imul(a, 0x9e3779b1) + b, 0x85ebca6b) + c, 0xc2b2ae35) >>> (32 - tripleBits)) | 0
}

function pairAt(a: number, b: number): number {
  return (Math.imul(Math.imul(a, 0x9e3779b1) + b, 0x85ebca6b) >>> (32 - pairBits)) | 0
}

function singleAt(a: number): number {
  return a < 0x800 ? a : 0x800 | (Math.imul(a, 0x9e3779b1) >>> 21)
}

/** Units that are read by table: ASCII. */
export const plainUnits = 128

/**
 * Probability of each ASCII character by itself, after another one: what most of a text needs, and the same until the model learns.
 *
 * @param out `[128]`
 */
export function readAlone(model: CharacterModel, out: Float64Array): void {
  for (let unit = 0; unit < plainUnits; unit++) out[unit] = aloneAfter(model, 0, 0, unit)
}

function aloneAfter({ singles, scripts, scriptTotals }: CharacterModel, script: number, next: number, unit: number): number {
  const same = next === script ? steady : 0
  const shift =
    ((scripts[script * scriptCount + next] as number) + same + 0.5) / ((scriptTotals[script] as number) + steady + scriptCount / 2)
  const count = singles[singleAt(unit)] as number
  return (
    (shift * ((count > discount ? count - discount : 0) + unread * (alphabet[next] as number))) / ((scriptTotals[next] as number) + unread)
  )
}

/**
 * Probability of each code unit of a stretch of text, multiplied; at most 64 units, so that it stays a number.
 * The two units before `from` are its context where there are any.
 *
 * @param alone of {@link readAlone}, since the model last learned
 */
export function likelihood(model: CharacterModel, alone: Float64Array, units: Uint16Array, from: number, until: number): number {
  const { triples, pairs, singles } = model
  let a = from > 1 ? (units[from - 2] as number) : 10
  let b = from > 0 ? (units[from - 1] as number) : 10
  let before = pairs[pairAt(a, b)] as number
  let product = 1
  for (let i = from; i < until; i++) {
    const c = units[i] as number
    const p0 = (b | c) < plainUnits ? (alone[c] as number) : aloneAfter(model, scriptOf(b), scriptOf(c), c)
    const pair = pairs[pairAt(b, c)] as number
    const p1 = ((pair > discount ? pair - discount : 0) + backoff * p0) / ((singles[singleAt(b)] as number) + backoff)
    const triple = triples[tripleAt(a, b, c)] as number
    product *= ((triple > discount ? triple - discount : 0) + backoff * p1) / (before + backoff)
    a = b
    b = c
    before = pair
  }
  return product
}

/** Counts a stretch of text; the two units before it are its context. */
export function learn(model: CharacterModel, units: Uint16Array, from: number, until: number): void {
  const { triples, pairs, singles, scripts, scriptTotals } = model
  let a = from > 1 ? (units[from - 2] as number) : 10
  let b = from > 0 ? (units[from - 1] as number) : 10
  for (let i = from; i < until; i++) {
    const c = units[i] as number
    const script = scriptOf(b)
    const at = script * scriptCount + scriptOf(c)
    if ((scripts[at] as number) < 65_535) {
      scripts[at] = (scripts[at] as number) + 1
      scriptTotals[script] = (scriptTotals[script] as number) + 1
    }
    bump(singles, singleAt(c))
    bump(pairs, pairAt(b, c))
    bump(triples, tripleAt(a, b, c))
    a = b
    b = c
  }
  model.total += until - from
  if (model.total > memory) forget(model)
}

/** A count that is full stays so: its neighbours catch up until all are halved. */
function bump(counts: Uint16Array | Uint32Array, at: number): void {
  const count = counts[at] as number
  if (count < 65_535) counts[at] = count + 1
}

function forget(model: CharacterModel): void {
  for (const counts of [model.triples, model.pairs, model.singles, model.scripts, model.scriptTotals])
    for (let i = 0; i < counts.length; i++) counts[i] = (counts[i] as number) >>> 1
  model.total = Math.floor(model.total / 2)
}
