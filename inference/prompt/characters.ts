/** What the reading of a prompt makes of a UTF-16 code unit. */
export const CharacterClass = { ignored: 0, space: 1, word: 2, single: 3 } as const
type CharacterClass = (typeof CharacterClass)[keyof typeof CharacterClass]

export interface Characters {
  /** A `CharacterClass` for each code unit. */
  readonly classes: Uint8Array
  /** Each code unit in one case and without compatibility forms, so that disguises of a letter read as the letter. */
  readonly folded: Uint16Array
}

/** From here on scripts that put no spaces between words (radicals, kana, ideographs, hangul): a character is a word. */
const wide = 0x2e80

let tables: Characters | undefined

/** Tables over all 65,536 code units: NFKC of a whole text takes longer than everything else that is done with it. */
export function characters(): Characters {
  tables ??= build()
  return tables
}

function build(): Characters {
  const classes = new Uint8Array(65_536)
  const folded = new Uint16Array(65_536)
  for (let unit = 0; unit < 65_536; unit++) {
    const plain = foldOf(unit)
    folded[unit] = plain
    classes[unit] = classOf(unit, plain)
  }
  return { classes, folded }
}

function foldOf(unit: number): number {
  const plain = String.fromCharCode(unit).normalize('NFKD').toLowerCase()
  // A letter with its accents comes apart into the letter and marks; what becomes several letters stays as it is.
  const marked = plain.length > 1 && /^.\p{M}+$/u.test(plain)
  return plain.length === 1 || marked ? plain.charCodeAt(0) : unit
}

function classOf(unit: number, plain: number): CharacterClass {
  const character = String.fromCharCode(plain)
  if (/\s/.test(character)) return CharacterClass.space
  // Marks, joiners and other format characters change what a word looks like, not what it says.
  if (/[\p{Cf}\p{M}]/u.test(String.fromCharCode(unit))) return CharacterClass.ignored
  if (plain < wide && /[\p{L}\p{N}]/u.test(character)) return CharacterClass.word
  return CharacterClass.single
}
