import type { TextStream } from './text-stream.ts'

/**
 * What may have to go: control characters but tab and line ends, bidirectional embeddings and overrides, zero-width characters,
 * invisible operators, variation selectors, annotation marks, noncharacters, and (by its first half) the block of tags.
 */
const doubtful = new RegExp(
  `[${[
    '\\0-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x9f',
    '\\u180e\\u200b-\\u200d\\u202a-\\u202e\\u2060-\\u2065\\u206a-\\u206f',
    '\\ufe00-\\ufe0f\\ufeff\\ufff9-\\ufffb\\ufdd0-\\ufdef\\ufffe\\uffff',
    '\\udb40',
  ].join('')}]`,
)

/** Scripts whose letters join, and whose writers say by U+200C and U+200D where (Unicode core specification, 23.2). */
const joining =
  /[\p{Script=Arabic}\p{Script=Syriac}\p{Script=Mandaic}\p{Script=Mongolian}\p{Script=Nko}\p{Script=Hanifi_Rohingya}\p{Script=Adlam}\p{Script=Devanagari}\p{Script=Bengali}\p{Script=Gurmukhi}\p{Script=Gujarati}\p{Script=Oriya}\p{Script=Tamil}\p{Script=Telugu}\p{Script=Kannada}\p{Script=Malayalam}\p{Script=Sinhala}\p{Script=Khmer}\p{Script=Myanmar}\p{Script=Tibetan}\p{Script=Balinese}\p{Script=Javanese}]/u
/** Scripts without blanks, where U+200B is one. */
const unspaced =
  /[\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}\p{Script=Tibetan}\p{Script=Javanese}\p{Script=Balinese}]/u
const pictograph = /[\p{Extended_Pictographic}\p{Emoji_Modifier}]/u
const han = /[\p{Script=Han}]/u
/** A flag of a region: a black flag, its letters as tags, and the end of tags (UTS 51, ED-14a). */
const flag = /\u{1f3f4}[\u{e0030}-\u{e0039}\u{e0061}-\u{e007a}]{3,6}\u{e007f}/uy

const zeroWidthJoiner = 0x200d
const blackFlag = 0x1f3f4
const longestFlag = 16

/**
 * A text without what nobody sees and models read: hidden prompts in tags (U+E0000) or variation selectors, overrides that show a
 * text in another order, control characters (Unicode TR 36 and UTS 39). What emoji, Persian, the scripts of India and those without
 * blanks need, stays where they need it, and so do the marks and isolates of texts from right to left.
 *
 * @returns the same string where nothing has to go
 */
export function sanitise(text: string): string {
  return doubtful.test(text) || !text.isWellFormed() ? sanitised(text, 0, text.length) : text
}

/** The part from one place to another; what stands around it is looked at. */
function sanitised(text: string, from: number, until: number): string {
  let clean = ''
  let kept = from
  for (let at = from; at < until; ) {
    const code = text.codePointAt(at) ?? 0
    const length = code > 0xffff ? 2 : 1
    if (code === blackFlag) {
      flag.lastIndex = at
      const match = flag.exec(text)
      at += match === null ? length : match[0].length
      continue
    }
    if (mustGo(text, at, code)) {
      clean += text.slice(kept, at)
      kept = at + length
    }
    at += length
  }
  return clean + text.slice(kept, until)
}

function mustGo(text: string, at: number, code: number): boolean {
  if (code < 0x20) return !(code === 0x09 || code === 0x0a || code === 0x0d)
  if (code < 0x7f) return false
  if (code < 0xa0) return true
  if (code >= 0xd800 && code < 0xe000) return true
  if (code < 0x180e) return false
  if (code === 0x180e) return !joining.test(before(text, at))
  if (code === 0x200b) return !(unspaced.test(before(text, at)) || unspaced.test(after(text, at + 1)))
  if (code === 0x200c || code === zeroWidthJoiner) return !isJoinerNeeded(text, at, code)
  if ((code >= 0xfe00 && code <= 0xfe0f) || (code >= 0xe0100 && code <= 0xe01ef)) return !isVariation(text, at, code)
  if (code >= 0xe0000 && code <= 0xe0fff) return true
  return doubtful.test(text.charAt(at)) && code <= 0xffff
}

/** Between two emoji of one, or after a letter that joins; never two in a row, which would spell a hidden text. */
function isJoinerNeeded(text: string, at: number, code: number): boolean {
  const previous = before(text, at)
  if (joining.test(previous)) return true
  if (code !== zeroWidthJoiner) return false
  const base = previous === '\ufe0f' ? before(text, at - 1) : previous
  return pictograph.test(base) && pictograph.test(after(text, at + 1))
}

/** One, after a character that has variants. */
function isVariation(text: string, at: number, code: number): boolean {
  const previous = before(text, at)
  if (code > 0xffff) return han.test(previous)
  if (code >= 0xfe0e) return pictograph.test(previous) || /[\d#*\p{S}\p{P}]/u.test(previous)
  return han.test(previous) || /[\p{Sm}\p{Script=Myanmar}\p{Script=Phags_Pa}]/u.test(previous)
}

function before(text: string, at: number): string {
  const low = text.charCodeAt(at - 1)
  return low >= 0xdc00 && low < 0xe000 && at > 1 ? text.slice(at - 2, at) : text.slice(Math.max(0, at - 1), at)
}

function after(text: string, at: number): string {
  return at < text.length ? String.fromCodePoint(text.codePointAt(at) ?? 0) : ''
}

/** The same of a text that comes in pieces; holds back what the next character decides about. */
export class SanitiseStream implements TextStream {
  readonly #removed: () => void
  /** What passed of late, as it came, and what is held. */
  #text = ''
  #sent = 0

  /** @param removed is called wherever something had to go */
  constructor(removed: () => void) {
    this.#removed = removed
  }

  push(piece: string): string {
    this.#text += piece
    return this.#pass(decided(this.#text, this.#sent))
  }

  end(): string {
    return this.#pass(this.#text.length)
  }

  #pass(until: number): string {
    const clean = sanitised(this.#text, this.#sent, until)
    if (clean.length < until - this.#sent) this.#removed()
    const from = Math.max(0, until - 4)
    this.#text = this.#text.slice(from)
    this.#sent = until - from
    return clean
  }
}

/** Up to where nothing that follows changes what passes: not half a character, not a joiner at the end, not a flag that may go on. */
function decided(text: string, from: number): number {
  const last = text.charCodeAt(text.length - 1)
  let until = last >= 0xd800 && last < 0xdc00 ? text.length - 1 : text.length
  const end = text.charCodeAt(until - 1)
  if (end === zeroWidthJoiner || end === 0x200b) until--
  const at = text.lastIndexOf('\u{1f3f4}')
  if (at >= from && text.length - at < longestFlag && /^(?:\udb40[\udc20-\udc7f]?)*$/.test(text.slice(at + 2))) until = Math.min(until, at)
  return Math.max(from, until)
}
