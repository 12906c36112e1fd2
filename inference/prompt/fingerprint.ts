import { LastUsed } from '../../bounded/last-used.ts'
import type { PromptEvent } from '../../schemas/index.ts'
import { FingerprintError } from '../fingerprint/errors.ts'
import { deriveKey } from '../fingerprint/keystream.ts'
import { type CharacterModel, openCharacterModels } from './character-model.ts'
import { Chunker, type ChunkKey, chunkKeyOf } from './chunker.ts'
import { KeyedHash } from './keyed-hash.ts'
import { Lessons } from './lessons.ts'
import { openMemory } from './memory.ts'
import { Pieces } from './pieces.ts'
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

interface ModelState {
  /** Where its character model is. */
  readonly index: number
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
  const keyedHash = new KeyedHash(Buffer.from(deriveKey(key, `prompt\0${epoch}`)).toString('hex'))
  const states = new LastUsed<string, ModelState>(models)
  const memory = openMemory(models)
  const [units, pieces, chunker] = [new Units(memory), new Pieces(memory), new Chunker(memory)]
  const openCharacters = openCharacterModels(memory)
  const sketch = new SketchWriter()

  const stateOf = (model: string): ModelState => {
    const known = states.get(model)
    if (known !== undefined) return known
    const own = chunkKeyOf(deriveKey(key, `prompt\0${epoch}\0${model}`))
    // The eldest state is the one that goes.
    const index = states.size < models ? states.size : (states.values().next().value?.index ?? 0)
    const state = { index, key: own, characters: openCharacters(index, priorModel()), lessons: new Lessons() }
    states.set(model, state)
    return state
  }

  return {
    hashOf: (text) => keyedHash.of(text).hash,
    fingerprint(model, messages, principal = '') {
      const state = stateOf(model)
      const { text, system } = joined(messages)
      const { characters, lessons } = state
      units.read(text)
      pieces.clear()
      chunker.key = state.key
      cutAll(messages, units, chunker)
      characters.measure()
      const surprise = surpriseOf(pieces)
      const { hash: exact, bytes } = keyedHash.of(messages.map(({ role, text: said }) => `${role}\0${said}`).join('\0\0'))
      const { learned } = characters
      lessons.teach(characters, pieces, principal, exact, now())
      return {
        epoch,
        exact,
        system: system === null ? null : keyedHash.of(system).hash,
        bytes: bytes - markupOf(messages),
        messages: messages.length,
        chunks: sketch.write(pieces),
        surprise,
        learned,
      }
    },
  }
}

/** Writes the surprise of each piece, bits a code unit, and returns that of them all. */
function surpriseOf({ count, from, until, likelihoods, surprises }: Pieces): number {
  let sum = 0
  let length = 0
  for (let i = 0; i < count; i++) {
    const bits = -Math.log2(likelihoods[i] as number)
    const size = (until[i] as number) - (from[i] as number)
    surprises[i] = bits / size
    sum += bits
    length += size
  }
  return length === 0 ? 0 : Math.round((100 * sum) / length) / 100
}

function joined(messages: readonly PromptMessage[]): { text: string; system: string | null } {
  const first = messages[0]
  const text = messages.length === 1 && first ? first.text : messages.map((message) => message.text).join('\n')
  const instructions = messages.filter(({ role }) => role === 'system' || role === 'developer')
  return { text, system: instructions.length === 0 ? null : instructions.map((message) => message.text).join('\n') }
}

/** UTF-8 bytes of what is hashed with the messages' texts: their roles, and what stands between. */
function markupOf(messages: readonly PromptMessage[]): number {
  let bytes = 2 * Math.max(0, messages.length - 1)
  for (const { role } of messages) bytes += Buffer.byteLength(role) + 1
  return bytes
}

/** Cuts message by message, so that no chunk spans two. */
function cutAll(messages: readonly PromptMessage[], units: Units, chunker: Chunker): void {
  const { skipFrom, skipUntil, shift } = units
  let from = 0
  for (const message of messages) {
    const until = from + message.text.length
    chunker.cut(from, Math.min(until, skipFrom))
    if (until > skipUntil) chunker.cut(Math.max(from, skipUntil) - shift, until - shift)
    from = until + 1
  }
}
