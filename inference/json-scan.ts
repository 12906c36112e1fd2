/** What a JSON text looks like before it is parsed. */
export interface JsonShape {
  /** How deep objects and arrays are nested. */
  readonly depth: number
  /** Names of members, repeated ones included. */
  readonly names: number
  /** Commas between members and elements: about as many as there are values. */
  readonly commas: number
}

const quote = 0x22
const backslash = 0x5c

/**
 * Looks at the structure of a JSON text without building it: strings are skipped, so an ordinary chat costs little.
 * Of a text that is not JSON it says something, and never throws.
 */
export function shapeOf(text: string): JsonShape {
  let depth = 0
  let deepest = 0
  let names = 0
  let commas = 0
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i)
    if (c === quote) i = stringEnd(text, i)
    else if (c === 0x7b || c === 0x5b) deepest = Math.max(deepest, ++depth)
    else if (c === 0x7d || c === 0x5d) depth--
    else if (c === 0x2c) commas++
    else if (c === 0x3a) names++
  }
  return { depth: deepest, names, commas }
}

/** Where the string that begins at `start` has its closing quote; the text's end where it has none. */
function stringEnd(text: string, start: number): number {
  let end = start
  for (;;) {
    end = text.indexOf('"', end + 1)
    if (end === -1) return text.length
    let slashes = 0
    while (text.charCodeAt(end - 1 - slashes) === backslash) slashes++
    if (slashes % 2 === 0) return end
  }
}

/** What of a value is not gone through. */
export interface NamesBounds {
  /** Name of members whose values are passed over; the name itself counts. */
  readonly except?: string
  /** Of objects and lists; whoever recurses through more runs out of stack. */
  readonly maxDepth?: number
}

/**
 * Names of members in a parsed value; infinitely many where it is nested deeper than `maxDepth`. Fewer than its text has: some
 * name came twice, and parsers differ in which one counts.
 */
export function namesIn(value: unknown, bounds: NamesBounds = {}, depth = 0): number {
  if (typeof value !== 'object' || value === null) return 0
  if (bounds.maxDepth !== undefined && depth > bounds.maxDepth) return Number.POSITIVE_INFINITY
  let names = 0
  if (Array.isArray(value)) {
    for (const one of value) if (typeof one === 'object') names += namesIn(one, bounds, depth + 1)
    return names
  }
  for (const [name, one] of Object.entries(value)) {
    names++
    if (typeof one === 'object' && name !== bounds.except) names += namesIn(one, bounds, depth + 1)
  }
  return names
}
