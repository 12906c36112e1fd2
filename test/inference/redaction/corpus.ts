import type { Finder } from '../../../inference/redaction/finder.ts'

/** A sentence, and what is personal in it. */
interface Sample {
  readonly text: string
  readonly truth: readonly { readonly start: number; readonly end: number; readonly kind: string }[]
}

type Draw = () => number

/** A sentence of the corpus with `@` where the value stands; `null` values are hard negatives. */
const templates: readonly (readonly [kind: string | null, sentences: readonly string[], value: (draw: Draw) => string])[] = [
  ['email', ['Please write to @ by Friday.', 'From: @, To: the team', 'user=@&x=1', 'My address is @!'], email],
  ['phone', ['Call me on @ after six.', 'Tel. @', 'Her number is @, ask for Ann.', 'Reach us at @ or by post.'], phone],
  ['iban', ['Transfer it to @ today.', 'IBAN: @', 'The account @ was closed.'], iban],
  ['card', ['I paid with @ last week.', 'Card number @, exp. 11/27', 'charge @ please'], card],
  ['ssn', ['My SSN is @.', 'Social security number: @', 'applicant @, born in May'], social],
  ['ip', ['The request came from @ at noon.', 'ssh root@ping @', 'host @ is down'], address],
  ['secret', ['export KEY=@', 'The token is @, keep it.', 'Authorization: Bearer @'], secret],
  [null, ['Your order @ has shipped.', 'Ticket @ was closed.', 'see invoice no. @'], (d) => digits(d, 8 + Math.floor(d() * 5))],
  [null, ['Trace id @ failed.', 'row @ was deleted'], uuid],
  [null, ['Upgrade to version @ now.', 'running Chrome/@ here', 'release @ is out'], (d) => many(4, () => upTo(d, 255)).join('.')],
  [null, ['The book (ISBN @) is good.', 'Reading @ this week.'], isbn],
  [null, ['It happened at @.', 'since @ nothing changed', 'timestamp @'], moment],
  [null, ['It costs @ in all.', 'the mean is @'], (d) => `$${upTo(d, 999)},${digits(d, 3)}.${digits(d, 2)}`],
  [null, ['commit @ broke it', 'sha @'], (d) => hex(d, 40)],
  [null, ['Install @ first.', 'import of @ fails'], (d) => `@scope/pkg@${upTo(d, 20)}.${upTo(d, 20)}.${upTo(d, 20)}`],
  [null, ['Flight LH@ leaves soon.', 'part number @-A, pages 100-200'], (d) => digits(d, 4)],
  [null, ['coordinates @ on the map'], (d) => `${upTo(d, 89)}.${digits(d, 6)}, -${upTo(d, 179)}.${digits(d, 6)}`],
  [null, ['ratio @, tolerance'], (d) => `0.${digits(d, 12)}`],
]

/** @param size sentences; equal seeds give equal corpora */
export function corpusOf(size: number, seed: number): readonly Sample[] {
  const draw = mulberry(seed)
  return Array.from({ length: size }, (_, i) => {
    const [kind, sentences, value] = at(templates, i % templates.length)
    const sentence = at(sentences, Math.floor(draw() * sentences.length))
    const said = value(draw)
    // The last @ is the value's place.
    const start = sentence.lastIndexOf('@')
    const text = sentence.slice(0, start) + said + sentence.slice(start + 1)
    return { text, truth: kind === null ? [] : [{ start, end: start + said.length, kind }] }
  })
}

interface Score {
  readonly kind: string
  readonly found: number
  readonly missed: number
  readonly wrong: number
}

/** What is right covers exactly what is personal; what covers less or more, or is of another kind, is wrong. */
export function scoreOf(finder: Finder, corpus: readonly Sample[]): readonly Score[] {
  const scores = new Map<string, { found: number; missed: number; wrong: number }>()
  const of = (kind: string) => {
    const score = scores.get(kind) ?? { found: 0, missed: 0, wrong: 0 }
    scores.set(kind, score)
    return score
  }
  for (const { text, truth } of corpus) {
    const found = finder.find(text, finder.phones())
    const same = (a: { start: number; end: number; kind: string }, b: typeof a) =>
      a.kind === b.kind && a.start === b.start && a.end === b.end
    for (const one of truth) of(one.kind)[found.some((other) => same(one, other)) ? 'found' : 'missed']++
    for (const one of found) if (!truth.some((other) => same(one, other))) of(one.kind).wrong++
  }
  return [...scores].map(([kind, score]) => ({ kind, ...score }))
}

export function lineOf({ kind, found, missed, wrong }: Score): string {
  return `${kind}: precision ${(found / Math.max(1, found + wrong)).toFixed(3)}, recall ${(found / Math.max(1, found + missed)).toFixed(3)} of ${found + missed}`
}

function mulberry(seed: number): Draw {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

function at<T>(list: readonly T[], index: number): T {
  const one = list[index]
  if (one === undefined) throw new Error(`nothing at ${index}`)
  return one
}

const pick = <T>(draw: Draw, list: readonly T[]) => at(list, Math.floor(draw() * list.length))
const upTo = (draw: Draw, most: number) => Math.floor(draw() * (most + 1))
const many = (count: number, make: () => unknown) => Array.from({ length: count }, make)
const from = (draw: Draw, letters: string, count: number) => many(count, () => letters.charAt(Math.floor(draw() * letters.length))).join('')
const digits = (draw: Draw, count: number) => from(draw, '123456789', 1) + from(draw, '0123456789', count - 1)
const hex = (draw: Draw, count: number) => from(draw, '0123456789abcdef', count)
const names = ['ann', 'bob.lee', 'carl_j', 'd-vries', 'erin+news', 'jürgen']

function email(draw: Draw): string {
  return `${pick(draw, names)}@${pick(draw, ['example.org', 'mail.example.co.uk', 'müller.de', 'x-y.io'])}`
}

function phone(draw: Draw): string {
  const [area, exchange, line] = [
    pick(draw, ['415', '212', '702', '303', '617']),
    `${2 + upTo(draw, 7)}${digits(draw, 2)}`,
    digits(draw, 4),
  ]
  return pick(draw, [
    `(${area}) ${exchange}-${line}`,
    `${area}-${exchange}-${line}`,
    `${area}.${exchange}.${line}`,
    `+1 ${area} ${exchange} ${line}`,
    `1-${area}-${exchange}-${line}`,
    `+44 20 7946 0${digits(draw, 3)}`,
    `+49 30 90${digits(draw, 4)}`,
  ])
}

function iban(draw: Draw): string {
  const [country, account] = pick(draw, [
    ['DE', digits(draw, 18)],
    ['AT', digits(draw, 16)],
    ['GB', `WEST${digits(draw, 14)}`],
  ] as const)
  const value = BigInt([...`${account}${country}00`].map((c) => Number.parseInt(c, 36)).join(''))
  const compact = `${country}${String(98n - (value % 97n)).padStart(2, '0')}${account}`
  return draw() < 0.5 ? compact : (compact.match(/.{1,4}/g) ?? []).join(' ')
}

function card(draw: Draw): string {
  const body = `${pick(draw, ['4', '51', '55'])}${digits(draw, 15)}`.slice(0, 15)
  const sum = [...body].reduce((all, c, i) => all + (i % 2 === 1 ? Number(c) : Number(c) > 4 ? Number(c) * 2 - 9 : Number(c) * 2), 0)
  const whole = `${body}${(10 - (sum % 10)) % 10}`
  return pick(draw, [whole, (whole.match(/.{4}/g) ?? []).join(' '), (whole.match(/.{4}/g) ?? []).join('-')])
}

function social(draw: Draw): string {
  return `${100 + upTo(draw, 499)}-${10 + upTo(draw, 89)}-${1_000 + upTo(draw, 8_999)}`
}

function address(draw: Draw): string {
  return pick(draw, [
    `${11 + upTo(draw, 80)}.${upTo(draw, 255)}.${upTo(draw, 255)}.${upTo(draw, 255)}`,
    `2001:db8:${hex(draw, 3)}::${hex(draw, 2)}`,
  ])
}

function secret(draw: Draw): string {
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'
  const some = (count: number) => from(draw, letters, count)
  return pick(draw, [
    `cordon_${from(draw, '0123456789abcdefghij', 12)}_${some(43)}`,
    `AKIA${from(draw, 'ABCDEFGHIJKLMNOP234567', 16)}`,
    `ghp_${some(36)}`,
    `sk-proj-${some(48)}`,
    `xoxb-${digits(draw, 12)}-${some(24)}`,
    `eyJ${some(33)}.eyJ${some(60)}.${some(43)}`,
  ])
}

function uuid(draw: Draw): string {
  // Of digits alone, as some are.
  const make = draw() < 0.5 ? digits : hex
  return [8, 4, 4, 4, 12].map((count) => make(draw, count)).join('-')
}

function isbn(draw: Draw): string {
  return pick(draw, [`978-3-16-${digits(draw, 6)}-0`, `978${digits(draw, 10)}`])
}

function moment(draw: Draw): string {
  return pick(draw, [
    `20${10 + upTo(draw, 19)}-0${1 + upTo(draw, 8)}-1${upTo(draw, 9)}T1${upTo(draw, 9)}:30:45Z`,
    `20${10 + upTo(draw, 19)}-0${1 + upTo(draw, 8)}-1${upTo(draw, 9)} 10:30:45.123`,
    `17${digits(draw, 8)}`,
    `17${digits(draw, 11)}`,
    `0${1 + upTo(draw, 8)}/1${upTo(draw, 9)}/20${10 + upTo(draw, 19)}`,
  ])
}
