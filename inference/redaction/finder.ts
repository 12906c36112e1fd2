import { isSupportedCountry } from 'libphonenumber-js/max'
import type { RedactionConfiguration } from './configuration.ts'
import { findAddresses } from './find-addresses.ts'
import { findEmails } from './find-emails.ts'
import { findIbans } from './find-ibans.ts'
import { findNumbers } from './find-numbers.ts'
import { findSecrets } from './find-secrets.ts'
import { type BuiltinKind, type Finding, matchesFrom } from './finding.ts'
import { compilePattern, type Pattern } from './pattern.ts'
import { PhoneCheck } from './phone-check.ts'

type Looked = Pick<RedactionConfiguration, 'kinds' | 'patterns' | 'country'>

/** Finds what one model's configuration looks for. */
export class Finder {
  readonly #kinds: ReadonlySet<BuiltinKind>
  readonly #patterns: readonly (Pattern & { readonly name: string })[]
  readonly #country: Looked['country']
  /** Most characters that a configured pattern can match; 0 without any. */
  readonly reach: number

  constructor({ kinds, patterns, country }: Looked) {
    this.#kinds = new Set(kinds)
    this.#country = country
    this.#patterns = patterns.flatMap(({ name, expression }) => {
      const pattern = compilePattern(expression)
      return typeof pattern === 'string' ? [] : [{ name, ...pattern }]
    })
    this.reach = this.#patterns.reduce((most, { longest }) => Math.max(most, longest), 0)
  }

  /** What one request's phone numbers are checked with. */
  phones(): PhoneCheck {
    const country = this.#country
    return new PhoneCheck(country !== null && isSupportedCountry(country) ? country : undefined)
  }

  /**
   * @param from where to begin; what stands before is only looked at
   * @returns what is in the text, in order, none of it overlapping: what overlaps is one finding, named after the first
   */
  find(text: string, phones: PhoneCheck, from = 0): readonly Finding[] {
    const found: Finding[] = []
    const add = (finding: Finding) => void found.push(finding)
    const kinds = this.#kinds
    if (kinds.has('secret')) findSecrets(text, from, add)
    if (kinds.has('email') && text.includes('@')) findEmails(text, from, add)
    if (/\d/.test(text)) {
      if (kinds.has('iban')) findIbans(text, from, add)
      if (kinds.has('ip')) findAddresses(text, from, add)
      if (kinds.has('card') || kinds.has('ssn') || kinds.has('phone')) findNumbers(text, from, { kinds, phones }, add)
    }
    for (const { name, expression } of this.#patterns) {
      for (const { index, 0: match } of matchesFrom(text, expression, from)) add({ start: index, end: index + match.length, kind: name })
    }
    return found.length < 2 ? found : merged(found)
  }
}

function merged(found: Finding[]): readonly Finding[] {
  // Stable: of those that begin together, the kind that was looked for first names it.
  found.sort((a, b) => a.start - b.start)
  const result: Finding[] = []
  for (const finding of found) {
    const last = result.at(-1)
    if (last === undefined || finding.start >= last.end) result.push(finding)
    else if (finding.end > last.end) result[result.length - 1] = { ...last, end: finding.end, open: finding.open }
  }
  return result
}
