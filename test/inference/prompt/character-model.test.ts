import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { openCharacterModels } from '../../../inference/prompt/character-model.ts'
import { openMemory, place } from '../../../inference/prompt/memory.ts'
import { Pieces } from '../../../inference/prompt/pieces.ts'
import { Units } from '../../../inference/prompt/units.ts'
import { seeded } from '../../attacks/random.ts'

/** The same model as its formula reads: one count after the other, one character at a time. */
class Plainly {
  readonly #counts = new Map<string, number>()
  #total: number

  constructor(total: number) {
    this.#total = total
  }

  learn(units: Uint16Array, from: number, until: number): void {
    for (let i = from; i < until; i++) {
      const { a, b, c, shift } = this.#at(units, i)
      if (this.#add(shift)) this.#counts.set(`s${scriptOf(b)}`, this.#count(`s${scriptOf(b)}`) + 1)
      for (const key of [single(c), pair(b, c), triple(a, b, c)]) this.#add(key)
    }
    this.#total += until - from
    if (this.#total <= 2_000_000) return
    for (const [key, count] of this.#counts) this.#counts.set(key, count >>> 1)
    this.#total = Math.floor(this.#total / 2)
  }

  likelihood(units: Uint16Array, from: number, until: number): number {
    let product = 1
    for (let i = from; i < until; i++) {
      const { a, b, c, shift } = this.#at(units, i)
      const [own, next] = [scriptOf(b), scriptOf(c)]
      const switched = (this.#count(shift) + (own === next ? 16 : 0) + 0.5) / (this.#count(`s${own}`) + 16 + 16)
      const size = next === 0 ? 96 : next === 25 ? 256 : next === 26 ? 4_096 : next === 27 ? 2_048 : 128
      const alone = (switched * (this.#known(single(c)) + 50 * (1 / size))) / (this.#count(`s${next}`) + 50)
      const afterOne = (this.#known(pair(b, c)) + 5 * alone) / (this.#count(single(b)) + 5)
      product *= (this.#known(triple(a, b, c)) + 5 * afterOne) / (this.#count(pair(a, b)) + 5)
    }
    return product
  }

  #at(units: Uint16Array, i: number) {
    const [a = 10, b = 10, c = 10] = [i > 1 ? units[i - 2] : 10, i > 0 ? units[i - 1] : 10, units[i]]
    return { a, b, c, shift: `${scriptOf(b)}>${scriptOf(c)}` }
  }
  #count(key: string): number {
    return this.#counts.get(key) ?? 0
  }
  #known(key: string): number {
    return Math.max(0, this.#count(key) - 1.5)
  }
  #add(key: string): boolean {
    const count = this.#count(key)
    if (count < 65_535) this.#counts.set(key, count + 1)
    return count < 65_535
  }
}

const hashed = (...units: number[]) =>
  [0x9e3779b1, 0x85ebca6b, 0xc2b2ae35].reduce((hash, factor, i) => (i < units.length ? Math.imul(hash + (units[i] ?? 0), factor) : hash), 0)
const triple = (a: number, b: number, c: number) => `t${hashed(a, b, c) >>> 14}`
const pair = (a: number, b: number) => `p${hashed(a, b) >>> 16}`
const single = (a: number) => `o${a < 0x800 ? a : 0x800 | (hashed(a) >>> 21)}`
const scriptOf = (unit: number) => {
  const known: [number, number][] = [
    [0x80, 0],
    [0x1000, 1 + (unit >>> 8)],
    [0x2e80, 17 + ((unit >>> 9) & 7)],
    [0x3100, 25],
    [0xa000, 26],
  ]
  return known.find(([until]) => unit < until)?.[1] ?? (unit >= 0xac00 && unit < 0xd800 ? 27 : unit < 0xe000 ? 28 : 29)
}

/** Words of several scripts, most of them plain ones. */
function mixedText(seed: number, length: number): string {
  const random = seeded(seed)
  const words = [
    'the ',
    'harbour ',
    'master, ',
    '1998 ',
    'é ',
    'письмо ',
    '東京の',
    '한국어 ',
    '\u200d',
    '😀',
    'ａ',
    'של ',
    '\n',
    'ledger; ',
  ]
  let text = ''
  while (text.length < length) text += random.pick(random.below(3) === 0 ? words : words.slice(0, 4))
  return text.slice(0, length)
}

const unitsOf = (text: string) => Uint16Array.from({ length: text.length }, (_, i) => text.charCodeAt(i))

/** Models at two places of a memory, the second one beginning with what the first one knows, if it is to. */
function opened(read = 0) {
  const memory = openMemory(2)
  const [open, units, pieces] = [openCharacterModels(memory), new Units(memory), new Pieces(memory)]
  const model = open(0)
  model.total = read
  return { model, units, pieces, count: new Int32Array(memory.buffer, place.pieces, 1), second: () => open(1, model) }
}

/** @param read how many characters it counts as read before */
function besideFormula(read: number) {
  const { model, units, pieces, count } = opened(read)
  const plainly = new Plainly(read)
  const bothLearn = (text: string, stretch: number) => {
    units.read(text)
    const codes = unitsOf(text)
    for (let from = 0; from < text.length; from += stretch) {
      if (from % (3 * stretch) === 0 && stretch < text.length) continue
      const until = Math.min(text.length, from + stretch)
      model.learn(from, until)
      plainly.learn(codes, from, until)
    }
  }
  const assertAlike = (text: string, stretch: number) => {
    units.read(text)
    const codes = unitsOf(text)
    const expected: number[] = []
    for (let from = 0; from < text.length; from += stretch) {
      const until = Math.min(text.length, from + stretch)
      pieces.from[expected.length] = from
      pieces.until[expected.length] = until
      // Of a longer stretch the first 64.
      expected.push(plainly.likelihood(codes, from, Math.min(until, from + 64)))
    }
    count[0] = expected.length
    model.measure()
    assert.deepEqual([...pieces.likelihoods.subarray(0, expected.length)], expected)
  }
  return { bothLearn, assertAlike }
}

describe('a character model', () => {
  it('finds what its formula says, bit for bit, in any script', () => {
    const { bothLearn, assertAlike } = besideFormula(0)
    const text = mixedText(1, 6_000)
    bothLearn(text.slice(0, 3_000), 11)
    for (const stretch of [1, 7, 64, 100]) assertAlike(text, stretch)
  })

  it('knows what another one knew, and no more of what that learns', () => {
    const { model, units, pieces, count, second } = opened()
    const measured = (of: { readonly measure: () => void }) => {
      of.measure()
      return pieces.likelihoods[0]
    }
    units.read('a harbour')
    model.learn(0, 9)
    pieces.from[0] = 0
    pieces.until[0] = 9
    count[0] = 1
    const [known, copy] = [measured(model), second()]
    for (let i = 0; i < 9; i++) model.learn(0, 9)
    assert.equal(measured(copy), known)
    assert.ok((measured(model) ?? 0) > (known ?? 0))
    assert.equal(copy.total, 9)
    // Its place is another model's now, which begins anew.
    assert.equal(measured(second()), measured(model))
  })

  it('counts up to 65,535 of each, and halves all counts after two million characters', () => {
    const { bothLearn, assertAlike } = besideFormula(1_700_000)
    const [same, mixed] = ['ab'.repeat(32_768), mixedText(2, 2_000)]
    for (const text of [same, same, same, mixed, same, same, same]) {
      bothLearn(text, text.length)
      assertAlike(mixed, 16)
    }
  })
})
