import { type Kernel, kernelOf } from '../kernels/kernel.ts'
import { CharacterClass, characters } from './characters.ts'
import { latin, mostPieces, place } from './memory.ts'

/**
 * Secret numbers of one model and epoch: without them nobody knows where a text is cut, or what a piece hashes to. One each for
 * letters, cuts and levels, two for pieces, then the hashes of the letters below 256, which most texts have no others of.
 */
export type ChunkKey = Int32Array

/** @param bytes 32 secret bytes */
export function chunkKeyOf(bytes: Uint8Array): ChunkKey {
  const [letter = 0, cut = 0, level = 0, , k0 = 0, k1 = 0] = new Int32Array(new Uint8Array(bytes).buffer, 0, 8)
  const letters = characters().folded.subarray(0, latin)
  return Int32Array.of(letter, cut | 1, level | 1, k0, k1, ...Array.from(letters, (plain) => letterHash(plain, letter)))
}

const letterFactors = [0x85ebca6b, 0xc2b2ae35] as const

function letterHash(plain: number, key: number): number {
  let h = Math.imul(plain ^ key, letterFactors[0])
  h = Math.imul(h ^ (h >>> 15), letterFactors[1])
  return h ^ (h >>> 13)
}

/** Code units of a piece, at least (but for the last of a message) and at most. */
const shortest = 4
const longest = 16
const longestWord = 16
/** The cut at the end of a message counts as this strong. */
const messageLevel = 5
const maxLevel = 7

// Parts of the kernel. Addresses of units are in bytes: twice their number.

const unit = `(i32.load16_u offset=${place.units} $at)`
const classOf = (code: string) => `(i32.load8_u offset=${place.classes} ${code})`
const keyed = (index: number) => `(i32.load offset=${place.key + 4 * index} 0)`
const mixed = (value: string, bits: number) => `(i32.xor ${value} (i32.shr_u ${value} ${bits}))`

/** See {@link letterHash}. */
const addLetter = `
  (if (i32.lt_u $unit ${latin})
    (then (local.set $word (i32.add $word (i32.load offset=${place.key + 4 * 5} (i32.shl $unit 2)))))
    (else
      (local.set $hash (i32.xor (i32.load16_u offset=${place.folded} (i32.shl $unit 1)) $letter))
      (local.set $hash (i32.mul $hash ${letterFactors[0]}))
      (local.set $hash (i32.mul ${mixed('$hash', 15)} ${letterFactors[1]}))
      (local.set $word (i32.add $word ${mixed('$hash', 13)}))))`

const startHash = `
  (local.set $v0 $k0)
  (local.set $v1 $k1)
  (local.set $v2 (i32.xor $k0 ${0x6c796765}))
  (local.set $v3 (i32.xor $k1 ${0x74656462}))`

const round = `
  (local.set $v0 (i32.add $v0 $v1))
  (local.set $v1 (i32.xor (i32.rotl $v1 5) $v0))
  (local.set $v0 (i32.rotl $v0 16))
  (local.set $v2 (i32.add $v2 $v3))
  (local.set $v3 (i32.xor (i32.rotl $v3 8) $v2))
  (local.set $v0 (i32.add $v0 $v3))
  (local.set $v3 (i32.xor (i32.rotl $v3 7) $v0))
  (local.set $v2 (i32.add $v2 $v1))
  (local.set $v1 (i32.xor (i32.rotl $v1 13) $v2))
  (local.set $v2 (i32.rotl $v2 16))`

/** A run of letters and digits, or one character of any other kind: the sum of its letters in `$word`, how many in `$length`. */
const readWord = `
  (local.set $word 0)
  (local.set $length 0)
  (block $read
    (loop $letter
      (local.set $unit ${unit})
      (local.set $class ${classOf('$unit')})
      (if (i32.eq $class ${CharacterClass.word})
        (then ${addLetter} (local.set $length (i32.add $length 1)))
        (else
          (br_if $read (i32.eq $class ${CharacterClass.space}))
          (if (i32.eq $class ${CharacterClass.single})
            (then
              (br_if $read $length)
              ${addLetter}
              (local.set $length 1)
              (local.set $at (i32.add $at 2))
              (br $read)))))
      (local.set $at (i32.add $at 2))
      (br_if $read (i32.ge_u $at $until))
      (br_if $letter (i32.lt_u $length ${longestWord}))))`

const skipSpace = `
  (block $skipped
    (loop $space
      (br_if $skipped (i32.ge_u $at $until))
      (br_if $skipped (i32.gt_u ${classOf(unit)} ${CharacterClass.space}))
      (local.set $at (i32.add $at 2))
      (br $space)))`

/** Adds the piece that ends here, at `$place` of the columns. */
const endPiece = `
  (local.set $pair (i32.mul (i32.add $word (i32.mul $before ${0x9e3779b1})) $levelling))
  (local.set $pair (i32.mul ${mixed('$pair', 16)} ${0x2c1b3c6d}))
  (local.set $level (i32.shr_u (i32.clz ${mixed('$pair', 15)}) 1))
  (local.set $level (select $level ${maxLevel} (i32.lt_u $level ${maxLevel})))
  (i32.store8 offset=${place.levels} $count (select ${messageLevel} $level $last))
  (local.set $v2 (i32.xor $v2 255))
  ${round} ${round} ${round}
  (local.set $place (i32.shl $count 2))
  (i32.store offset=${place.hashes} $place (i32.xor $v1 $v3))
  (i32.store offset=${place.from} $place (i32.shr_u $start 1))
  (i32.store offset=${place.until} $place (i32.shr_u $at 1))
  (local.set $count (i32.add $count 1))`

const openCut = kernelOf(`
  (func cut (param $at i32 $until i32)
    (local $letter i32 $cutting i32 $levelling i32 $k0 i32 $k1 i32 $v0 i32 $v1 i32 $v2 i32 $v3 i32 $start i32 $before i32)
    (local $word i32 $length i32 $unit i32 $class i32 $hash i32 $draw i32 $last i32 $pair i32 $level i32 $count i32 $place i32)
    (local.set $letter ${keyed(0)})
    (local.set $cutting ${keyed(1)})
    (local.set $levelling ${keyed(2)})
    (local.set $k0 ${keyed(3)})
    (local.set $k1 ${keyed(4)})
    (local.set $count (i32.load offset=${place.pieces} 0))
    (local.set $start $at)
    ${startHash}
    (block $done
      (loop $next
        (br_if $done (i32.ge_u $at $until))
        (br_if $done (i32.eq $count ${mostPieces}))
        ${readWord}
        ${skipSpace}
        (if $length
          (then
            (local.set $word (i32.add $word $length))
            (local.set $v3 (i32.xor $v3 $word))
            ${round}
            (local.set $v0 (i32.xor $v0 $word))))
        (local.set $last (i32.ge_u $at $until))
        (local.set $draw (i32.mul ${mixed('$word', 16)} $cutting))
        (local.set $draw (i32.mul ${mixed('$draw', 15)} ${0x2c1b3c6d}))
        (local.set $length (i32.sub $at $start))
        (if (i32.or (i32.or $last (i32.ge_u $length ${2 * longest}))
                    (i32.and (i32.ge_u $length ${2 * shortest}) (i32.shr_u $draw 31)))
          (then
            ${endPiece}
            ${startHash}
            (local.set $start $at)))
        (local.set $before $word)
        (br $next)))
    (i32.store offset=${place.pieces} 0 $count))`)

/**
 * Cuts texts into pieces and adds them to `Pieces`. A cut depends on the word before it alone, so an inserted character moves no cut but
 * its own. A word hashes as the sum of its letters, white space not at all: case,
 * accents, letters in another order and spaces change no hash, and so hide nothing; the exact hash tells such texts apart.
 * Pieces hash with HalfSipHash-1-3 over their words (Aumasson and Bernstein 2012), a pseudorandom function under the key.
 */
export class Chunker {
  readonly #cut: Kernel
  readonly #key: Int32Array

  constructor(memory: WebAssembly.Memory) {
    const { classes, folded } = characters()
    new Uint8Array(memory.buffer, place.classes, classes.length).set(classes)
    new Uint16Array(memory.buffer, place.folded, folded.length).set(folded)
    this.#key = new Int32Array(memory.buffer, place.key, 5 + latin)
    this.#cut = openCut(memory)
  }

  /** Under which all is cut that follows. */
  set key(key: ChunkKey) {
    this.#key.set(key)
  }

  /** Units `[from, until)` of the text that is read: one message, or a part of it. */
  cut(from: number, until: number): void {
    this.#cut(2 * from, 2 * until)
  }
}
