import validator from 'validator'
import type { BuiltinKind, Finding } from './finding.ts'
import type { PhoneCheck } from './phone-check.ts'

/** Digits and what stands between the groups of one number. */
const runs = /[+(]{0,2}\d[\d \u00a0\u2010-\u2015.()/+-]*/g
const groupsOf = /\d+/g

/** How cards are written in groups (ISO/IEC 7812; American Express, Diners Club). */
const cardGroups = new Set(['4 4 4 4', '4 6 5', '4 6 4', '4 4 4 4 3'])
const maxGroupsOfCard = 5

const securityWord = /\b(?:ssn|social security)\b[^\d]{0,16}$/i
/** Before a number: how far words are looked for, in UTF-16 units. */
const before = 32

interface Wanted {
  readonly kinds: ReadonlySet<BuiltinKind>
  readonly phones: PhoneCheck
}

interface Group {
  readonly start: number
  readonly end: number
}

/** Finds cards, social security numbers and phone numbers in one pass over the runs of digits. */
export function findNumbers(text: string, from: number, wanted: Wanted, add: (finding: Finding) => void): void {
  const { kinds, phones } = wanted
  runs.lastIndex = from
  for (let run = runs.exec(text); run !== null; run = runs.exec(text)) {
    if (run[0].length < 7) continue
    const groups = groupsIn(run[0], run.index)
    const taken = new Set<Group>()
    for (let first = 0; first < groups.length; first++) {
      const last = (kinds.has('card') && cardEnd(text, groups, first)) || (kinds.has('ssn') && securityEnd(text, groups, first))
      if (!last) continue
      const [begin, end] = [groups[first], groups[last - 1]]
      if (begin === undefined || end === undefined) continue
      add({ start: begin.start, end: end.end, kind: isSecurity(last - first, begin, end, text) ? 'ssn' : 'card' })
      for (let i = first; i < last; i++) taken.add(groups[i] ?? begin)
      first = last - 1
    }
    if (kinds.has('phone') && taken.size === 0) phones.find(text, run.index, run.index + run[0].length, add)
  }
}

function groupsIn(run: string, offset: number): Group[] {
  const groups: Group[] = []
  for (const { index, 0: digits } of run.matchAll(groupsOf)) groups.push({ start: offset + index, end: offset + index + digits.length })
  return groups
}

/** @returns the group after a card's last one; 0 where no card begins here */
function cardEnd(text: string, groups: readonly Group[], first: number): number {
  const begin = groups[first]
  if (begin === undefined || isInWord(text, begin.start - 1)) return 0
  const length = begin.end - begin.start
  if (length >= 13 && length <= 19)
    return !isInWord(text, begin.end) && validator.isCreditCard(text.slice(begin.start, begin.end)) ? first + 1 : 0
  if (length !== 4) return 0
  let [form, digits] = ['4', text.slice(begin.start, begin.end)]
  let found = 0
  for (let last = first + 1; last < Math.min(groups.length, first + maxGroupsOfCard); last++) {
    const [previous, group] = [groups[last - 1], groups[last]]
    if (previous === undefined || group === undefined || !isJoined(text, previous, group)) break
    digits += text.slice(group.start, group.end)
    form += ` ${group.end - group.start}`
    if (cardGroups.has(form) && !isInWord(text, group.end) && validator.isCreditCard(digits)) found = last + 1
  }
  return found
}

/** @returns the group after a social security number's last one; 0 where none begins here */
function securityEnd(text: string, groups: readonly Group[], first: number): number {
  const [area, , serial] = groups.slice(first, first + 3)
  if (area === undefined || isInWord(text, area.start - 1)) return 0
  const named = () => securityWord.test(text.slice(Math.max(0, area.start - before), area.start))
  if (area.end - area.start === 9) return !isInWord(text, area.end) && isIssued(text.slice(area.start, area.end)) && named() ? first + 1 : 0
  if (serial === undefined || serial.end - area.start !== 11 || isInWord(text, serial.end)) return 0
  const said = text.slice(area.start, serial.end)
  if (!/^\d{3}([ -])\d{2}\1\d{4}$/.test(said) || !isIssued(said.replace(/\D/g, ''))) return 0
  // Part of a longer number otherwise.
  if (/^(?:[-.]\d|\d)/.test(text.slice(serial.end, serial.end + 2)) || /\d[-.]$/.test(text.slice(Math.max(0, area.start - 2), area.start)))
    return 0
  return said.includes('-') || named() ? first + 3 : 0
}

/** What the Social Security Administration never issued is none. */
function isIssued(digits: string): boolean {
  return /^(?!000|666|9)\d{3}(?!00)\d{2}(?!0000)\d{4}$/.test(digits)
}

function isSecurity(groups: number, { start }: Group, { end }: Group, text: string): boolean {
  return end - start === 9 || (groups === 3 && end - start === 11 && /^\d{3}\D/.test(text.slice(start, start + 4)))
}

function isJoined(text: string, a: Group, b: Group): boolean {
  return b.start - a.end === 1 && /[ -]/.test(text.charAt(a.end))
}

function isInWord(text: string, at: number): boolean {
  return at >= 0 && /[\w]/.test(text.charAt(at))
}
