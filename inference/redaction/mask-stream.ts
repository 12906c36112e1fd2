import type { Finder } from './finder.ts'
import type { PhoneCheck } from './phone-check.ts'
import type { TextStream } from './text-stream.ts'

/** Of what passed, how much is still looked at, in UTF-16 units: no finder looks further back. */
const context = 80
/** Longest text that is held back: longer without a place to cut at is no prose, and is cut where nothing is found. */
const maxHeld = 2_048
const forcedTail = 512
/** Longest first line of a private key. */
const keyLine = 64

/** Masks what is found. Holds back the word that is being written, and numbers and groups that may go on. */
export class MaskStream implements TextStream {
  readonly #finder: Finder
  readonly #phones: PhoneCheck
  readonly #mask: (kind: string) => string
  /** What passed of late, and what is held. */
  #text = ''
  #sent = 0
  #chopped = false
  /** What ends that which is being left out: a text, or any character that no token has. */
  #until: string | null | undefined

  constructor(finder: Finder, phones: PhoneCheck, mask: (kind: string) => string) {
    this.#finder = finder
    this.#phones = phones
    this.#mask = mask
  }

  push(piece: string): string {
    this.#text += piece
    if (this.#until !== undefined && !this.#skip()) return ''
    const held = this.#text.length - this.#sent
    const cut = held > maxHeld ? this.#text.length - forcedTail : this.#safeCut()
    return cut > this.#sent ? this.#pass(cut, held > maxHeld) : ''
  }

  end(): string {
    if (this.#until !== undefined && !this.#skip()) return ''
    return this.#pass(this.#text.length, false)
  }

  #pass(until: number, forced: boolean): string {
    let passing = ''
    let at = this.#sent
    let cut = until
    for (const { start, end, kind, open } of this.#finder.find(this.#text, this.#phones, at)) {
      if (start >= cut) break
      if (end > cut && open === undefined && !(forced && start === this.#sent)) {
        cut = start
        break
      }
      passing += this.#text.slice(at, start) + this.#mask(kind)
      at = end
      if (open !== undefined || end > cut) {
        this.#until = open?.until ?? null
        // Its end may have begun.
        this.#keep(open === undefined ? end : Math.max(open.from, end - open.until.length))
        return passing
      }
    }
    passing += this.#text.slice(at, cut)
    this.#keep(Math.max(at, cut))
    return passing
  }

  /** Leaves out what goes on. @returns whether it ended */
  #skip(): boolean {
    const until = this.#until ?? null
    let end: number
    if (until === null) {
      end = this.#text.slice(this.#sent).search(/[^\w.\-+/=]/)
      end = end === -1 ? -1 : this.#sent + end
    } else {
      const at = this.#text.indexOf(until, this.#sent)
      end = at === -1 ? -1 : at + until.length
    }
    if (end === -1) {
      this.#keep(Math.max(this.#sent, this.#text.length - (until?.length ?? 0)))
      return false
    }
    this.#until = undefined
    this.#keep(end)
    return true
  }

  #keep(sent: number): void {
    const from = Math.max(0, sent - context)
    if (from > 0) this.#chopped = true
    this.#text = this.#text.slice(from)
    this.#sent = sent - from
  }

  /** The last place that nothing can reach over; see {@link isSafe}. */
  #safeCut(): number {
    const text = this.#text
    let most = text.length
    if (this.#finder.reach > 0) most -= this.#finder.reach + 1
    const key = text.lastIndexOf('-----BEGIN')
    if (key >= this.#sent && text.length - key < keyLine) most = Math.min(most, key)
    for (let at = most; at > this.#sent; at--) if (this.#isSafe(at)) return at
    return 0
  }

  /**
   * What is found spans blanks in groups of digits alone, or in the groups of an account number, of which no two in a row have
   * letters only. So nothing reaches over a line's end, over a blank after a mark of punctuation, over a blank after two words
   * without digits, or over a letter of a script that sets no blanks.
   */
  #isSafe(at: number): boolean {
    const text = this.#text
    const code = text.charCodeAt(at - 1)
    if (code === 0x0a) return true
    if (code >= 0x0e00) return !(code >= 0x2000 && code < 0x2070) && !(code >= 0xd800 && code < 0xe000)
    if (code !== 0x20 && code !== 0x09) return false
    if (/[,;!?]/.test(text.charAt(at - 2))) return true
    const second = wordBefore(text, at - 1)
    const first = second === undefined ? undefined : wordBefore(text, second.start)
    if (second === undefined || first === undefined) return !this.#chopped && second?.digits !== true
    return !second.digits && !first.digits && !(this.#chopped && first.start === 0)
  }
}

interface Word {
  readonly start: number
  readonly digits: boolean
}

/** The word that ends before a place, blanks between passed over; undefined at the text's start. */
function wordBefore(text: string, end: number): Word | undefined {
  let start = end
  while (start > 0 && text.charCodeAt(start - 1) <= 0x20) start--
  if (start === 0) return undefined
  let digits = false
  for (; start > 0 && text.charCodeAt(start - 1) > 0x20; start--) {
    const code = text.charCodeAt(start - 1)
    if ((code >= 0x30 && code <= 0x39) || code === 0x2b || code === 0x28) digits = true
  }
  return { start, digits }
}
