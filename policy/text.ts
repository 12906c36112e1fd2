/** One policy as it stands in its file. */
export interface Statement {
  readonly text: string
  /** Bytes of UTF-8 before it, which is what Cedar counts in. */
  readonly start: number
}

/**
 * Cedar's text, cut behind each semicolon that ends a policy: one that is in neither a string nor a comment. What is left
 * without an end is a statement too, so that the parser says what is wrong with it. Comments before a policy are not of it.
 */
export function statementsOf(text: string): readonly Statement[] {
  const statements: Statement[] = []
  // Strings with escapes, comments to the end of the line, white space, an end, or any other character.
  const token = /"(?:\\[\s\S]|[^"\\])*"?|\/\/[^\n]*|\s+|;|[^]/gu
  let from = -1
  for (const { 0: found, index } of text.matchAll(token)) {
    const isText = !found.startsWith('//') && found.trim() !== ''
    if (isText && from === -1) from = index
    if (found !== ';' || from === -1) continue
    statements.push(statement(text, from, index + 1))
    from = -1
  }
  if (from !== -1) statements.push(statement(text, from, text.trimEnd().length))
  return statements
}

function statement(text: string, from: number, to: number): Statement {
  return { text: text.slice(from, to), start: Buffer.byteLength(text.slice(0, from)) }
}

/** @param offset in bytes of UTF-8 @returns both from 1 on; columns count UTF-16 units, as editors do */
export function placeOf(text: string, offset: number): { readonly line: number; readonly column: number } {
  const before = Buffer.from(text).subarray(0, offset).toString()
  const lines = before.split('\n')
  return { line: lines.length, column: (lines.at(-1)?.length ?? 0) + 1 }
}
