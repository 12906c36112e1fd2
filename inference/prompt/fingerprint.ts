import { hash } from 'node:crypto'
import { LastUsed } from '../../bounded/last-used.ts'
import type { PromptEvent } from '../../schemas/index.ts'
import { FingerprintError } from '../fingerprint/errors.ts'
import { deriveKey } from '../fingerprint/keystream.ts'
import { type CharacterModel, copyOf, emptyTable, likelihood, readAlone } from './character-model.ts'
import { type ChunkKey, chunkKeyOf, cut, Pieces } from './chunker.ts'
import { Lessons } from './lessons.ts'
import { priorModel } from './prior.ts'
import { SketchWriter } from './sketch.ts'
import { Units } from './units.ts'

/** The part of a prompt's event that is made from its text; see `PromptEvent` for each field. */
export type PromptFingerprint = Pick<PromptEvent, 'epoch' | 'exact' | 'system' | 'bytes' | 'messages' | 'chunks' | 'surprise' | 'learned'>

export interface PromptFingerprinterOptions {
  /** 32 secret bytes, the same on every node. */
  readonly key: Uint8Array
  /** Counts rotations of the key. */
  readonly epoch: number
  /** Models whose characters are remembered, 0.7 MB each; the one that was asked longest ago goes. Default 32. */
  readonly models?: number
  /** Milliseconds; only for what one principal may teach in an hour. Default `Date.now`. */
  readonly now?: () => number
}

export interface PromptMessage {
  readonly role: string
  readonly text: string
}

export interface PromptFingerprinter {
  /**
   * @param principal who asks. It bounds what one principal may teach the character model; prompts without it count
   *   as one principal's.
   */
  fingerprint(model: string, messages: readonly PromptMessage[], principal?: string): PromptFingerprint
  /** Keyed 64-bit hash of any text, hex. */
  hashOf(text: string): string
}

/** Code units of a longer text that are read: as many from its start, three times as many from its end. `exact` covers all. */
const readAtMost = 65_536
const readFirst = 16_384

interface ModelState {
  readonly key: ChunkKey
  readonly characters: CharacterModel
  readonly lessons: Lessons
}

/**
 * Opens the fingerprinter of prompts: chunks cut where the content says so and hashed under the key, with how strange
 * each is to the model's ordinary traffic. Not safe for overlapping calls (it reuses buffers).
 *
 * @throws FingerprintError `KEY_LENGTH`
 */
export function openPromptFingerprinter({ key, epoch, models = 32, now = Date.now }: PromptFingerprinterOptions): PromptFingerprinter {
  if (key.length !== 32) throw new FingerprintError('KEY_LENGTH', `A fingerprint key has 32 bytes; this one has ${key.length}.`)
  const secret = Buffer.from(deriveKey(key, `prompt\0${epoch}`)).toString('hex')
  const states = new LastUsed<string, ModelState>(models)
  const pieces = new Pieces(readAtMost / 4)
  const bits = new Float64Array(pieces.capacity)
  const sketch = new SketchWriter()
  const alone = emptyTable()
  const copies = new Units()

  const stateOf = (model: string): ModelState => {
    const known = states.get(model)
    if (known !== undefined) return known
    const own = chunkKeyOf(deriveKey(key, `prompt\0${epoch}\0${model}`))
    const state = { key: own, characters: copyOf(priorModel()), lessons: new Lessons() }
    states.set(model, state)
    return state
  }

  const hashOf = (text: string): string => hash('sha256', secret + text).slice(0, 16)

  return {
    hashOf,
    fingerprint(model, messages, principal = '') {
      const state = stateOf(model)
      const { text, system } = joined(messages)
      const { characters, lessons } = state
      pieces.count = 0
      const units = copies.of(text)
      cutAll(messages, text.length, state.key, units, pieces)
      readAlone(characters, alone)
      const surprise = measure(characters, alone, units, pieces, bits)
      const exact = hashOf(messages.map(({ role, text: said }) => `${role}\0${said}`).join('\0\0'))
      const { learned } = characters
      lessons.teach(characters, units, pieces, principal, exact, now())
      return {
        epoch,
        exact,
        system: system === null ? null : hashOf(system),
        bytes: Buffer.byteLength(text) - Math.max(0, messages.length - 1),
        messages: messages.length,
        chunks: sketch.write(pieces, bits),
        surprise,
        learned,
      }
    },
  }
}

/**
 * Writes the surprise of each piece and returns that of a code unit of them all, in bits. By itself, so that it is compiled with
 * all that it calls.
 */
function measure(characters: CharacterModel, alone: Float64Array, units: Uint16Array, pieces: Pieces, bits: Float64Array): number {
  const { count, from: starts, until: ends } = pieces
  let sum = 0
  let length = 0
  for (let i = 0; i < count; i++) {
    const from = starts[i] as number
    const until = ends[i] as number
    const piece = -Math.log2(likelihood(characters, alone, units, from, Math.min(until, from + 64)))
    bits[i] = piece
    sum += piece
    length += until - from
  }
  return length === 0 ? 0 : Math.round((100 * sum) / length) / 100
}

function joined(messages: readonly PromptMessage[]): { text: string; system: string | null } {
  const first = messages[0]
  const text = messages.length === 1 && first ? first.text : messages.map((message) => message.text).join('\n')
  const instructions = messages.filter(({ role }) => role === 'system' || role === 'developer')
  return { text, system: instructions.length === 0 ? null : instructions.map((message) => message.text).join('\n') }
}

/** Cuts message by message, so that no chunk spans two; of a text that is too long, its start and its end. */
function cutAll(messages: readonly PromptMessage[], length: number, key: ChunkKey, units: Uint16Array, pieces: Pieces): void {
  const skipFrom = length > readAtMost ? readFirst : length
  const skipUntil = length > readAtMost ? length - (readAtMost - readFirst) : length
  let from = 0
  for (const message of messages) {
    const until = from + message.text.length
    cut(units, from, Math.min(until, skipFrom), key, pieces)
    if (until > skipUntil) cut(units, Math.max(from, skipUntil), until, key, pieces)
    from = until + 1
  }
}
