/**
 * How likely each character is after the two before it, learned on line: counts of three, two and one characters in
 * tables of fixed size, interpolated from the longest to the shortest (Jelinek and Mercer), each count discounted so
 * that what was read once or twice is not yet known. Below single characters stands the script: a script that was not
 * read before costs its switch once, then the size of its alphabet.
 */
export interface CharacterModel {
  /** Prompts it has learned from. */
  learned: number
  /**
   * How often each triple, pair and single character was read, each at the place that its hash says, and by script the scripts that
   * followed; in one array, since each more costs a loop over a text registers and checks.
   */
  readonly counts: Uint16Array
  /** By script, how many characters followed. */
  readonly scriptTotals: Uint32Array
  /** Characters read, less what was forgotten. */
  total: number
}

const tripleBits = 18
const pairBits = 16
const singleBits = 12
const scriptCount = 32
/** Where the counts of each kind begin; those of triples at 0. */
const pairsAt = 1 << tripleBits
const singlesAt = pairsAt + (1 << pairBits)
const scriptsAt = singlesAt + (1 << singleBits)
const countsLength = scriptsAt + scriptCount * scriptCount
/** A count that is full stays so: its neighbours catch up until all are halved. */
const full = 65_535
/** What was read this often or less says nothing yet: one strange text must not make itself ordinary. */
const discount = 1.5
/** An integer, so that counts are subtracted as integers. */
const twiceDiscount = 3
/** Weight of the shorter context. */
const backoff = 5
/** How often a script is taken to have followed itself before anything was read in it, and how many characters its whole alphabet counts for. */
const steady = 16
const unread = 50
/** Counts are halved at so many characters, so that the model follows its traffic. */
const memory = 2_000_000

/** 0.7 MB. */
export function emptyModel(): CharacterModel {
  return { learned: 0, counts: new Uint16Array(countsLength), scriptTotals: new Uint32Array(scriptCount), total: 0 }
}

export function copyOf({ learned, counts, scriptTotals, total }: CharacterModel): CharacterModel {
  return { learned, counts: counts.slice(), scriptTotals: scriptTotals.slice(), total }
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

// Constants, not declarations: of a declared function V8 asks at each call whether it still is the same.

/** A pair of characters, spread over 32 bits; one character more gives the place of a triple. */
const spread = (a: number, b: number): number => Math.imul(Math.imul(a, 0x9e3779b1) + b, 0x85ebca6b)
const tripleAt = (pair: number, c: number): number => Math.imul(pair + c, 0xc2b2ae35) >>> (32 - tripleBits)
const pairAt = (pair: number): number => pairsAt + (pair >>> (32 - pairBits))
const singleAt = (a: number): number => singlesAt + (a < 0x800 ? a : 0x800 | (Math.imul(a, 0x9e3779b1) >>> 21))

/** Twice what is left of a count after its discount, at least 0; without a branch, since text is hard to predict. */
const twiceKnown = (count: number): number => {
  const twice = 2 * count - twiceDiscount
  return twice & ~(twice >> 31)
}

/** The share of a triple, from that of its last character by itself and four counts; as if twice over, so that counts stay integers. */
const interpolated = (alone: number, single: number, pair: number, before: number, triple: number): number => {
  const afterOne = (twiceKnown(pair) + 2 * backoff * alone) / (2 * single + 2 * backoff)
  return (twiceKnown(triple) + 2 * backoff * afterOne) / (2 * before + 2 * backoff)
}

/** Units that are read by table: ASCII. */
const plain = 128

/** A table for {@link readAlone}. */
export function emptyTable(): Float64Array {
  return new Float64Array(plain)
}

/**
 * Probability of each ASCII character by itself, after another one: what most of a text needs, and the same until the model learns.
 *
 * @param out of {@link emptyTable}
 */
export function readAlone(model: CharacterModel, out: Float64Array): void {
  for (let unit = 0; unit < plain; unit++) out[unit] = aloneAfter(model, 0, 0, unit)
}

function aloneAfter({ counts, scriptTotals }: CharacterModel, script: number, next: number, unit: number): number {
  const same = next === script ? steady : 0
  const shift =
    ((counts[scriptsAt + script * scriptCount + next] as number) + same + 0.5) /
    ((scriptTotals[script] as number) + steady + scriptCount / 2)
  const count = counts[singleAt(unit)] as number
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
  const { counts } = model
  let b = from > 0 ? (units[from - 1] as number) : 10
  let ab = spread(from > 1 ? (units[from - 2] as number) : 10, b)
  let before = counts[pairAt(ab)] as number
  let product = 1
  for (let i = from; i < until; i++) {
    const c = units[i] as number
    // In a loop of its own: here it would make even a text that has no such character a third slower.
    if ((b | c) >= plain) return otherLikelihood(model, units, i, until, product)
    const bc = spread(b, c)
    const pair = counts[pairAt(bc)] as number
    const triple = counts[tripleAt(ab, c)] as number
    product *= interpolated(alone[c] as number, counts[singlesAt + b] as number, pair, before, triple)
    b = c
    ab = bc
    before = pair
  }
  return product
}

/** The same for any characters. @param begun product of those before */
function otherLikelihood(model: CharacterModel, units: Uint16Array, from: number, until: number, begun: number): number {
  const { counts } = model
  let b = from > 0 ? (units[from - 1] as number) : 10
  let ab = spread(from > 1 ? (units[from - 2] as number) : 10, b)
  let before = counts[pairAt(ab)] as number
  let script = scriptOf(b)
  let product = begun
  for (let i = from; i < until; i++) {
    const c = units[i] as number
    const next = scriptOf(c)
    const bc = spread(b, c)
    const pair = counts[pairAt(bc)] as number
    const triple = counts[tripleAt(ab, c)] as number
    product *= interpolated(aloneAfter(model, script, next, c), counts[singleAt(b)] as number, pair, before, triple)
    b = c
    ab = bc
    before = pair
    script = next
  }
  return product
}

/** Counts a stretch of text; the two units before it are its context. */
export function learn(model: CharacterModel, units: Uint16Array, from: number, until: number): void {
  const { counts } = model
  let b = from > 0 ? (units[from - 1] as number) : 10
  let ab = spread(from > 1 ? (units[from - 2] as number) : 10, b)
  let seen = b
  for (let i = from; i < until; i++) {
    const c = units[i] as number
    const bc = spread(b, c)
    bump(counts, singleAt(c))
    bump(counts, pairAt(bc))
    bump(counts, tripleAt(ab, c))
    b = c
    ab = bc
    seen |= c
  }
  if (seen < plain) follow(model, 0, 0, until - from)
  else learnScripts(model, units, from, until)
  model.total += until - from
  if (model.total > memory) forget(model)
}

function learnScripts(model: CharacterModel, units: Uint16Array, from: number, until: number): void {
  let script = from > 0 ? scriptOf(units[from - 1] as number) : 0
  for (let i = from; i < until; i++) {
    const next = scriptOf(units[i] as number)
    follow(model, script, next, 1)
    script = next
  }
}

const bump = (counts: Uint16Array, at: number): void => {
  const count = counts[at] as number
  if (count < full) counts[at] = count + 1
}

/** Counts that one script followed another so many times. */
function follow({ counts, scriptTotals }: CharacterModel, script: number, next: number, times: number): void {
  const at = scriptsAt + script * scriptCount + next
  const count = counts[at] as number
  const more = Math.min(times, full - count)
  counts[at] = count + more
  scriptTotals[script] = (scriptTotals[script] as number) + more
}

function forget(model: CharacterModel): void {
  for (const counts of [model.counts, model.scriptTotals]) for (let i = 0; i < counts.length; i++) counts[i] = (counts[i] as number) >>> 1
  model.total = Math.floor(model.total / 2)
}
