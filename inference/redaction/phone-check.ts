import { type CountryCode, Metadata, parsePhoneNumberFromString } from 'libphonenumber-js/max'
import type { Finding } from './finding.ts'

/** Numbers of one request that the library is asked about, at some 0.1 ms each; what is beyond counts by its form alone. */
const maxChecks = 128
/** With `+` or `00`, 15 digits (ITU-T E.164). */
const maxDigits = 17
const maxLength = 40
/** Before a number: how far words are looked for, in UTF-16 units. */
const before = 32

/** Digits alone may be anything: only a word before them makes them a phone number. */
const phoneWord =
  /(?<!\p{L})(?:tel(?:e(?:phone|fon[eo]?|foon)?)?|t[ée]l[ée]phone|phone|mobile?|cell(?:ulare)?|celular|handy|fax|call(?: me)?(?: (?:at|on))?|text|sms|whatsapp|signal|ring|dial|reach(?: me)?(?: (?:at|on))?|rufnummer|тел(?:ефон)?|電話|电话)(?!\p{L})[^\d\p{L}]{0,4}(?:(?:is|no|nr|number|ist|est)[^\d\p{L}]{1,3})?$/iu
const otherWord =
  /\b(?:isbn(?:-1[03])?|issn|doi|order|invoice|ref(?:erence)?|ticket|case|sku|part|serial|tracking|account|batch|lot|id|nr|no|number|version|build|rfc|pid|pages?|pp|p|vol|in|since|from|between|until|year|lines?|eur|usd|costs?|total)\b[\s.:#°º]{0,3}$/i

const dateOrTime =
  /^(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.](?:\d{4}|\d{2})(?!\d)|(?:1[5-9]|20)\d\d ?[-–/] ?(?:1[5-9]|20)\d\d(?!\d))/
const fourParts = /^\d{1,3}(?:\.\d{1,3}){3}$/

/** Finds phone numbers in runs of digits, by the plans of all countries (libphonenumber). One serves one request. */
export class PhoneCheck {
  readonly #country: CountryCode | undefined
  readonly #lengths: ReadonlySet<number>
  readonly #longest: number
  /** A stream asks for the same again as it grows. */
  readonly #known = new Map<string, boolean>()

  /** @param country of numbers that name none; undefined: only those with `+` are found */
  constructor(country: CountryCode | undefined) {
    this.#country = country
    this.#lengths = country === undefined ? new Set() : lengthsIn(country)
    this.#longest = Math.min(maxDigits, Math.max(0, ...this.#lengths))
  }

  /** @param start where a run of digits, blanks and marks begins */
  find(text: string, start: number, end: number, add: (finding: Finding) => void): void {
    for (let from = start; from < end; ) {
      while (from < end && !begins(text.charCodeAt(from))) from++
      const found = this.#endFrom(text, from, candidateEnd(text, from, end, this.#most(text, from)))
      if (found !== 0) add({ start: from, end: found, kind: 'phone' })
      from = found !== 0 ? found : nextWord(text, from, end)
    }
  }

  #most(text: string, from: number): number {
    const code = text.charCodeAt(from)
    return code === 0x2b || text.startsWith('00', from) || text.startsWith('(+', from) ? maxDigits : this.#longest
  }

  /** Where the longest number that begins here ends; 0 where none does. What follows after a blank may be another one. */
  #endFrom(text: string, start: number, longest: number): number {
    let end = longest
    for (let tries = 0; tries < 4 && end - start >= 7; tries++) {
      if (this.#isPhone(text, start, end)) return end
      do end--
      while (end > start && !isBlank(text.charCodeAt(end)))
      while (end > start && !isDigit(text.charCodeAt(end - 1))) end--
    }
    return 0
  }

  /** What is cheap to see comes first: a table of numbers has thousands of places to look at. */
  #isPhone(text: string, start: number, end: number): boolean {
    const international = text.charCodeAt(start) === 0x2b || text.startsWith('(+', start)
    const count = digitsIn(text, start, end)
    if (count < 7 || count > maxDigits) return false
    const abroad = international || text.startsWith('00', start)
    if (!(abroad || this.#lengths.has(count)) || isWithin(text, start, end, international)) return false
    const said = text.slice(start, end)
    return (international || this.#isPlausible(said, count, text.slice(Math.max(0, start - before), start))) && this.#isValid(said)
  }

  #isPlausible(said: string, count: number, words: string): boolean {
    if (this.#country === undefined || dateOrTime.test(said) || fourParts.test(said) || /^\d+[./]\d+$/.test(said)) return false
    if (otherWord.test(words) || isBook(said.replace(/\D/g, ''))) return false
    return said.length > count || phoneWord.test(words)
  }

  #isValid(said: string): boolean {
    const known = this.#known.get(said)
    if (known !== undefined) return known
    if (this.#known.size >= maxChecks) return true
    const valid = parsePhoneNumberFromString(said, { defaultCountry: this.#country, extract: false })?.isValid() ?? false
    this.#known.set(said, valid)
    return valid
  }
}

/** Digits of a number as it is dialled within the country: its own, or one or two more of a prefix. Held as many as there are countries. */
const lengths = new Map<CountryCode, ReadonlySet<number>>()

function lengthsIn(country: CountryCode): ReadonlySet<number> {
  const known = lengths.get(country)
  if (known !== undefined) return known
  const metadata = new Metadata()
  metadata.selectNumberingPlan(country)
  const plan = metadata.numberingPlan
  const own: readonly number[] = plan === undefined ? [] : plan.possibleLengths()
  const dialled = new Set(own.flatMap((length) => [length, length + 1]).filter((length) => length >= 7))
  lengths.set(country, dialled)
  return dialled
}

/** A number ends before another `+`, two blanks, or more digits than any has. */
function candidateEnd(text: string, from: number, end: number, most: number): number {
  let [digits, last] = [0, from]
  for (let at = from; at < Math.min(end, from + maxLength); at++) {
    const code = text.charCodeAt(at)
    if (isDigit(code)) {
      if (++digits > most) return from + text.slice(from, last).lastIndexOf(' ') + 1 || last
      last = at + 1
    } else if ((code === 0x2b && at > from + 1) || (isBlank(code) && isBlank(text.charCodeAt(at + 1)))) break
  }
  return last
}

function nextWord(text: string, from: number, end: number): number {
  let at = from + 1
  while (at < end && !(isBlank(text.charCodeAt(at - 1)) || text.charCodeAt(at) === 0x2b || text.charCodeAt(at) === 0x28)) at++
  return at
}

function begins(code: number): boolean {
  return isDigit(code) || code === 0x2b || code === 0x28
}

function digitsIn(text: string, start: number, end: number): number {
  let digits = 0
  for (let at = start; at < end; at++) if (isDigit(text.charCodeAt(at))) digits++
  return digits
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0xa0
}

/** Whether it is part of a word, a longer number, a price or a path. */
function isWithin(text: string, start: number, end: number, international: boolean): boolean {
  const previous = text.charAt(start - 1)
  if (/[\w$€£¥#@%\\]/.test(previous) || /[\w$€£¥%]/.test(text.charAt(end))) return true
  if (/\w[-./_]$/.test(text.slice(Math.max(0, start - 2), start)) || (previous === '/' && !international)) return true
  return /^[-_/.:]\w/.test(text.slice(end, end + 2)) || /^ ?[€$£¥%]/.test(text.slice(end, end + 2))
}

/** An ISBN, by its sum (ISO 2108). */
function isBook(digits: string): boolean {
  if (digits.length === 13 && /^97[89]/.test(digits)) return true
  if (digits.length !== 10) return false
  return [...digits].reduce((sum, digit, i) => sum + (10 - i) * Number(digit), 0) % 11 === 0 && /^[01]/.test(digits)
}
