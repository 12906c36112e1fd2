/**
 * One token is one character: 0 stands for what is before the text and for characters that the model does not know,
 * 1 is the newline, 2 to 96 are printable ASCII, from space to tilde. Tokens in `logit_bias` and in lists of tokens are
 * these numbers.
 */
export const vocabularySize = 97

/** Padding, and what is not in the vocabulary; never generated. */
export const unknownToken = 0
export const newlineToken = 1

const firstPrintable = 32
const lastPrintable = 126

/** @returns one token for each Unicode code point, so that 🙂 counts once */
export function encode(text: string): Int32Array {
  const tokens = new Int32Array(text.length)
  let count = 0
  for (let at = 0; at < text.length; at++) {
    const code = text.codePointAt(at) ?? 0
    if (code > 0xffff) at++
    tokens[count++] = tokenOf(code)
  }
  return tokens.subarray(0, count)
}

/** The character of a token; U+FFFD for 0 and for what is no token. */
export function characterOf(token: number): string {
  if (token === newlineToken) return '\n'
  const code = token + firstPrintable - 2
  return token >= 2 && code <= lastPrintable ? String.fromCharCode(code) : '\uFFFD'
}

/** @param code a Unicode code point */
function tokenOf(code: number): number {
  if (code === 0x0a) return newlineToken
  return code >= firstPrintable && code <= lastPrintable ? code - firstPrintable + 2 : unknownToken
}
