/** Kinds that the node knows; configured patterns have names of their own. */
export const builtinKinds = ['email', 'phone', 'iban', 'card', 'ssn', 'ip', 'secret'] as const
export type BuiltinKind = (typeof builtinKinds)[number]

/** Where something personal or secret stands in a text, in UTF-16 units. */
export interface Finding {
  readonly start: number
  readonly end: number
  /** A {@link BuiltinKind}, or a configured pattern's name. */
  readonly kind: string
  /** It began and did not end: whatever follows belongs to it, up to the next such text, which is looked for from there on. */
  readonly open?: { readonly until: string; readonly from: number } | undefined
}

/** Finds one kind in a text, from a place on; what stands before is looked at. Time grows with the text alone. */
export type Find = (text: string, from: number, add: (finding: Finding) => void) => void

/** Matches from a place on; what the expression looks back at may be before. */
export function matchesFrom(text: string, expression: RegExp, from: number): Iterable<RegExpExecArray> {
  expression.lastIndex = from
  const matches = text.matchAll(expression)
  expression.lastIndex = 0
  return matches
}
