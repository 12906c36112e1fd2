import { type Constraint, type Option, written } from './options.ts'
import { asciiJson, type Shape } from './schema.ts'
import { characterOf, encode, newlineToken, vocabularySize } from './vocabulary.ts'

const quote = '"'
/** What may stand in a string without an escape. */
const plain: readonly Option[] = Array.from({ length: vocabularySize - 2 }, (_, i) => written(i + 2)).filter(
  ({ text }) => text !== quote && text !== '\\',
)

// The model has read no JSON. Where it would end a line, strings, numbers and lists end; and what it sees of JSON is the
// text in strings, each on a line of its own.
const endString: Option = { text: quote, token: newlineToken, seen: newlineToken }
const endNumber: Option = { text: '', token: newlineToken, seen: null }
const endList: Option = { text: ']', token: newlineToken, seen: null }
const withEnd: readonly Option[] = [...plain, endString]

/** Writes JSON of that shape, without spaces. */
export function* json(shape: Shape): Constraint {
  switch (shape.kind) {
    case 'text':
      return yield* text(shape.least, shape.most)
    case 'number':
      return yield* number(shape.decimals, shape.least, shape.most)
    case 'literals':
      return yield* literals(shape.texts)
    case 'list':
      return yield* list(shape.items, shape.least, shape.most)
    case 'object':
      return yield* object(shape.members)
    case 'either':
      return yield* either(shape.shapes)
  }
}

/** One of several texts, by the model's choice wherever they part. */
export function* literals(texts: readonly string[]): Constraint {
  let left = texts
  for (let at = 0; ; at++) {
    const characters = [...new Set(left.filter(({ length }) => length > at).map((text) => text.charAt(at)))]
    const options = characters.map(silent)
    if (left.some(({ length }) => length === at)) {
      if (options.length === 0) return
      options.push(endNumber)
    }
    const { text } = yield options
    if (text === '') return
    left = left.filter((candidate) => candidate.charAt(at) === text)
  }
}

function* text(least: number, most: number): Constraint {
  yield [{ text: quote, token: newlineToken, seen: newlineToken }]
  for (let length = 0; length < most; length++) {
    const taken = yield length < least ? plain : withEnd
    if (taken === endString) return
  }
  yield [endString]
}

function* object(members: readonly (readonly [string, Shape])[]): Constraint {
  yield* mark('{')
  for (const [i, [name, shape]] of members.entries()) {
    yield* mark(`${i > 0 ? ',' : ''}${asciiJson(name)}:`)
    yield* json(shape)
  }
  yield* mark('}')
}

function* list(items: Shape, least: number, most: number): Constraint {
  yield* mark('[')
  for (let count = 0; count < most; count++) {
    // That an item follows is weighed by the comma, before the first one too.
    const another: Option = { text: count > 0 ? ',' : '', token: tokenOf(','), seen: null }
    const taken = yield count < least ? [another] : [another, endList]
    if (taken === endList) return
    yield* json(items)
  }
  yield [endList]
}

/** Which of the shapes is weighed by the letters, a for the first. */
function* either(shapes: readonly Shape[]): Constraint {
  const options = shapes.map((_, i): Option => ({ text: '', token: tokenOf('a') + (i % 26), seen: null }))
  const taken = yield options
  const shape = shapes[options.indexOf(taken)]
  if (shape) yield* json(shape)
}

function* mark(characters: string): Constraint {
  for (const character of characters) yield [silent(character)]
}

/** A decimal number between bounds in units of its last decimal: 3.5 to 4 with one decimal are 35 and 40. */
function* number(decimals: number, least: number, most: number): Constraint {
  const options: Option[] = []
  if (most >= 0) options.push({ text: '', token: tokenOf('0'), seen: null })
  if (least < 0) options.push(silent('-'))
  const { text: sign } = yield options
  // Below zero the digits are of the opposite; zero itself has no sign.
  const [low, high] = sign === '-' ? [Math.max(1, -most), -least] : [Math.max(0, least), most]
  yield* digits(decimals, low, high)
}

function* digits(decimals: number, low: number, high: number): Constraint {
  const scale = 10 ** decimals
  let whole = yield* firstDigit(low, high, scale)
  for (;;) {
    const options = whole === 0 ? [] : following(whole).filter(({ value }) => canBecome(value, low, high, scale))
    const ended = whole * scale >= low && whole * scale <= high
    const fraction = decimals > 0 && reaches(whole * scale, scale, low, high)
    const ways = [...options.map(({ option }) => option), ...(fraction ? [silent('.')] : []), ...(ended ? [endNumber] : [])]
    const { text } = yield ways
    if (text === '') return
    if (text === '.') break
    whole = whole * 10 + Number(text)
  }
  yield* fractionDigits(whole * scale, scale, low, high)
}

function* firstDigit(low: number, high: number, scale: number): Generator<readonly Option[], number, Option> {
  const { text } = yield following(0)
    .filter(({ value }) => canBecome(value, low, high, scale))
    .map(({ option }) => option)
  return Number(text)
}

function* fractionDigits(value: number, unit: number, low: number, high: number): Constraint {
  let reached = value
  for (let step = unit / 10, first = true; step >= 1; step /= 10, first = false) {
    const options = following(0)
      .filter(({ value }) => reaches(reached + value * step, step, low, high))
      .map(({ option }) => option)
    const ended = !first && reached >= low && reached <= high
    const { text } = yield ended ? [...options, endNumber] : options
    if (text === '') return
    reached += Number(text) * step
  }
}

function following(whole: number): readonly { readonly value: number; readonly option: Option }[] {
  return Array.from({ length: 10 }, (_, digit) => ({ value: whole * 10 + digit, option: silent(String(digit)) }))
}

/** Whether a number that begins with these digits lies between the bounds: 4 can become 4, 40 to 49, 400 to 499 … */
function canBecome(whole: number, low: number, high: number, scale: number): boolean {
  if (whole === 0) return reaches(0, scale, low, high)
  for (let from = whole, width = 1; from * scale <= high; from *= 10, width *= 10) {
    if (reaches(from * scale, width * scale, low, high)) return true
  }
  return false
}

/** Whether one of `width` numbers from `from` on lies between the bounds. */
function reaches(from: number, width: number, low: number, high: number): boolean {
  return from <= high && from + width - 1 >= low
}

/** A character of JSON, which the model does not see. */
function silent(text: string): Option {
  return { text, token: tokenOf(text), seen: null }
}

const tokens: ReadonlyMap<string, number> = new Map(Array.from({ length: vocabularySize }, (_, i) => [characterOf(i), i]))

function tokenOf(character: string): number {
  return tokens.get(character) ?? encode(character)[0] ?? 0
}
