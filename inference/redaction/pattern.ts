/** A configured pattern that cannot run away. */
export interface Pattern {
  readonly expression: RegExp
  /** Most characters that it can match. */
  readonly longest: number
}

/** Ways through one pattern: what backtracking can cost at one place of a text. */
const maxWays = 256
const maxLongest = 256
const maxRepeat = 64

interface Cost {
  readonly ways: number
  readonly least: number
  readonly longest: number
}

/**
 * Compiles a configured pattern of a part of JavaScript's expressions, whose time is bounded at each place of a text: literals,
 * `.`, classes, groups without names, alternatives, `\b`, and counts with an upper bound of at most 64. There is no `*` and no `+`,
 * nothing looks around, and nothing refers back.
 *
 * @returns what is wrong with it, where it is none of these
 */
export function compilePattern(source: string): Pattern | string {
  if (source.length > 256) return 'is longer than 256 characters'
  const parser = new PatternParser(source)
  const cost = parser.whole()
  if (typeof cost === 'string') return cost
  if (cost.least === 0) return 'matches nothing at all'
  if (cost.longest > maxLongest) return `can match more than ${maxLongest} characters`
  if (cost.ways > maxWays)
    return `can be tried in ${cost.ways} ways at one place, more than ${maxWays}: give counts closer bounds, or fewer of them`
  try {
    return { expression: new RegExp(source, 'gu'), longest: cost.longest }
  } catch {
    return 'is no expression of JavaScript'
  }
}

/** Reads a pattern once, from left to right, and counts what it can cost. What is wrong comes back as words. */
class PatternParser {
  readonly #source: string
  #at = 0
  #depth = 0

  constructor(source: string) {
    this.#source = source
  }

  whole(): Cost | string {
    const cost = this.#alternatives()
    if (typeof cost === 'string') return cost
    return this.#at === this.#source.length ? cost : 'has a parenthesis too many'
  }

  #alternatives(): Cost | string {
    let all = this.#sequence()
    while (typeof all !== 'string' && this.#source[this.#at] === '|') {
      this.#at++
      const next = this.#sequence()
      if (typeof next === 'string') return next
      all = { ways: all.ways + next.ways, least: Math.min(all.least, next.least), longest: Math.max(all.longest, next.longest) }
    }
    return all
  }

  #sequence(): Cost | string {
    let all: Cost = { ways: 1, least: 0, longest: 0 }
    while (this.#at < this.#source.length && this.#source[this.#at] !== '|' && this.#source[this.#at] !== ')') {
      const one = this.#counted()
      if (typeof one === 'string') return one
      all = { ways: all.ways * one.ways, least: all.least + one.least, longest: all.longest + one.longest }
    }
    return all
  }

  #counted(): Cost | string {
    const atom = this.#atom()
    if (typeof atom === 'string') return atom
    const rest = this.#source.slice(this.#at)
    if (/^[*+]/.test(rest)) return 'has * or +: write how often at most, such as {1,16}'
    const count = /^(?:\?|\{(\d{1,4})(?:,(\d{0,4}))?\})/.exec(rest)
    if (count === null) return rest.startsWith('{') ? 'has a brace that is no count' : atom
    this.#at += count[0].length
    if (/^[?*+{]/.test(this.#source.slice(this.#at))) return 'has two counts in a row'
    const least = count[1] === undefined ? 0 : Number(count[1])
    const most = count[1] === undefined ? 1 : Number(count[2] ?? count[1])
    if (count[2] === '' || most > maxRepeat || most < least) return `has a count without an upper bound of at most ${maxRepeat}`
    // What has several ways itself has that many each time.
    if (atom.ways > 1 && most > 1) return 'counts what has counts or alternatives in it'
    return { ways: atom.ways + most - least, least: atom.least * least, longest: atom.longest * most }
  }

  #atom(): Cost | string {
    const one: Cost = { ways: 1, least: 1, longest: 2 }
    const c = this.#source[this.#at++] ?? ''
    if (c === '(') return this.#group()
    if (c === '[') return this.#class() ?? one
    if (c === '\\')
      return this.#escape() ?? (this.#source[this.#at - 1] === 'b' ? { ways: 1, least: 0, longest: 0 } : { ...one, longest: 1 })
    if (c === '^' || c === '$') return 'has ^ or $, which a stream does not know: use \\b'
    return '*+?{}])'.includes(c) ? `has ${c} where nothing can have it` : { ...one, longest: c === '.' ? 2 : 1 }
  }

  #group(): Cost | string {
    if (++this.#depth > 8) return 'is nested too deep'
    if (this.#source[this.#at] === '?') {
      if (!this.#source.startsWith('?:', this.#at)) return 'looks around, or names a group'
      this.#at += 2
    }
    const inner = this.#alternatives()
    if (typeof inner !== 'string' && this.#source[this.#at++] !== ')') return 'has a group without an end'
    this.#depth--
    return inner
  }

  #class(): string | undefined {
    const found = /^\^?(?:[^\\[\]]|\\[dwsDWS\\\]^.-])+\]/.exec(this.#source.slice(this.#at))
    if (found === null) return 'has a class that has no end, or more than characters, ranges, \\d, \\w and \\s'
    this.#at += found[0].length
    return undefined
  }

  #escape(): string | undefined {
    return /[dwsDWSb\\.^$|()[\]{}*+?/-]/.test(this.#source[this.#at++] ?? '')
      ? undefined
      : 'has an escape besides \\d, \\w, \\s, \\b and marks'
  }
}
