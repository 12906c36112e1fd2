import validator from 'validator'
import type { Find } from './finding.ts'

/** Shortest and longest that are in use (ISO 13616). */
const [shortest, longest] = [15, 34]
const begins = /(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?=[ -]?[A-Za-z0-9])/g

/** International bank account numbers, with their check digits; in groups, too. */
export const findIbans: Find = (text, from, add) => {
  begins.lastIndex = from
  for (let begin = begins.exec(text); begin !== null; begin = begins.exec(text)) {
    const end = endOf(text, begin.index)
    if (end === 0) continue
    add({ start: begin.index, end, kind: 'iban' })
    begins.lastIndex = end
  }
}

/**
 * Where the longest account number that begins here ends; 0 where none does. Of what may be one, one in 97 gets past the sum
 * (ISO 7064, kept as it is read), and is then held against its country's form.
 */
function endOf(text: string, start: number): number {
  // Country and check digits count last.
  const head = [0, 1, 2, 3].reduce((sum, i) => appended(sum, text.charCodeAt(start + i)), 0)
  let [found, sum, length] = [0, 0, 4]
  for (let at = start + 4; at < text.length && length <= longest; at++) {
    const code = text.charCodeAt(at)
    const next = text.charCodeAt(at + 1)
    if (isWord(code)) {
      sum = appended(sum, code)
      const complete = ++length >= shortest && length <= longest && !isWord(next) && (sum * 1_000_000 + head) % 97 === 1
      if (complete && validator.isIBAN(text.slice(start, at + 1))) found = at + 1
    } else if (!((code === 0x20 || code === 0x2d) && isWord(next))) break
  }
  return found
}

/** @returns the sum with one more letter (A is 10) or digit */
function appended(sum: number, code: number): number {
  return code < 0x41 ? (sum * 10 + code - 0x30) % 97 : (sum * 100 + (code & 0x1f) + 9) % 97
}

function isWord(code: number): boolean {
  return (code >= 0x30 && code <= 0x39) || (code >= 0x41 && code <= 0x5a) || (code >= 0x61 && code <= 0x7a)
}
