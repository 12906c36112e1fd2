import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { emptyModel, emptyTable, learn, likelihood, readAlone } from '../../../inference/prompt/character-model.ts'
import { unitsOf } from '../../../inference/prompt/units.ts'
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

/** @param read how many characters it counts as read before */
function opened(read: number) {
  const [model, plainly, alone] = [{ ...emptyModel(), total: read }, new Plainly(read), emptyTable()]
  const bothLearn = (units: Uint16Array, from: number, until: number) => {
    learn(model, units, from, until)
    plainly.learn(units, from, until)
  }
  const assertAlike = (units: Uint16Array, stretch: number) => {
    readAlone(model, alone)
    for (let from = 0; from < units.length; from += stretch) {
      const until = Math.min(units.length, from + stretch)
      assert.equal(likelihood(model, alone, units, from, until), plainly.likelihood(units, from, until), `from ${from}`)
    }
  }
  return { bothLearn, assertAlike }
}

describe('a character model', () => {
  it('finds what its formula says, bit for bit, in any script', () => {
    const { bothLearn, assertAlike } = opened(0)
    const units = unitsOf(mixedText(1, 6_000))
    for (let from = 0; from < 3_000; from += 11) {
      if (from % 33 !== 0) bothLearn(units, from, from + 11)
    }
    for (const stretch of [1, 7, 64]) assertAlike(units, stretch)
  })

  it('counts up to 65,535 of each, and halves all counts after two million characters', () => {
    const { bothLearn, assertAlike } = opened(1_800_000)
    const [same, mixed] = [unitsOf('ab'.repeat(70_000)), unitsOf(mixedText(2, 2_000))]
    for (const units of [same, mixed, same]) {
      bothLearn(units, 0, units.length)
      assertAlike(mixed, 16)
    }
  })
})
