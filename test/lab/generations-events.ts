import { openPromptFingerprinter } from '../../inference/prompt/fingerprint.ts'
import { type EventOf, type PromptEvent, type PromptSampling, uuidv7 } from '../../schemas/index.ts'
import { type Random, seeded } from '../attacks/random.ts'

const epoch = Date.UTC(2026, 0, 5)
const fingerprinter = openPromptFingerprinter({ key: new Uint8Array(32).fill(9), epoch: 0, now: () => epoch })

/** One request of a client: what it asks, how, and what becomes of it. */
export interface Asked {
  /** Milliseconds after the last. */
  readonly after: number
  readonly data: Partial<PromptEvent>
}

/** A client's story: the same random numbers, the same story. */
export interface Story {
  readonly name: string
  /** Requests in all, and from which on it is an attack. */
  readonly asks: (random: Random) => Iterable<Asked>
}

export const plainSampling: PromptSampling = { temperature: 1, topP: null, maxTokens: 512, choices: 1, topLogprobs: 0, logitBias: null }

const plain: PromptEvent = {
  request: '01900000-0000-7000-8000-000000000000',
  principal: 'alice',
  organization: null,
  keyId: null,
  keyCreatedAt: null,
  client: 'c1',
  agent: 'a1',
  model: 'parrot',
  version: '1',
  node: 'node-1',
  operation: 'chat',
  outcome: 'served',
  hardening: 'none',
  epoch: 0,
  exact: '0000000000000000',
  system: null,
  bytes: 400,
  messages: 1,
  chunks: '',
  surprise: 2.4,
  learned: 1_000,
  tokensIn: 100,
  tokensOut: 150,
  finishReasons: ['stop'],
  sampling: plainSampling,
  refused: false,
  answer: null,
  canaries: [],
}

export function* eventsOf(asks: Iterable<Asked>, principal = 'alice'): Generator<EventOf<'prompt'>> {
  let time = epoch
  let n = 0
  for (const { after, data } of asks) {
    time += Math.max(0, Math.round(after))
    const bytes = new Uint8Array(10)
    new DataView(bytes.buffer).setUint32(6, ++n)
    const id = uuidv7(time, bytes)
    yield { kind: 'prompt', id, time, source: 'lab', data: { ...plain, principal, request: id, ...data } }
  }
}

/** A keyed hash of nothing in particular. */
export function anyHash(random: Random): string {
  const half = () =>
    random
      .below(2 ** 32)
      .toString(16)
      .padStart(8, '0')
  return half() + half()
}

const pool = (() => {
  const random = seeded(1)
  return Buffer.from(Uint8Array.from({ length: 6 * 8_192 }, () => random.below(256))).toString('base64')
})()

/** Chunks of some text, all different; eight characters of base64 are one. */
function anyChunks(random: Random, count: number): string {
  const from = 8 * random.below(8_192 - count)
  return pool.slice(from, from + 8 * count)
}

/** A prompt of its own, about this long. */
export function anyPrompt(random: Random, bytes: number): Partial<PromptEvent> {
  const long = Math.max(8, Math.round(bytes * random.between(0.6, 1.5)))
  return {
    exact: anyHash(random),
    bytes: long,
    tokensIn: Math.ceil(long / 4),
    chunks: anyChunks(random, Math.min(80, Math.ceil(long / 25))),
  }
}

/** A text as the node fingerprints it. */
export function promptOf(text: string): Partial<PromptEvent> {
  const made = fingerprinter.fingerprint('parrot', [{ role: 'user', text }], 'alice')
  return { ...made, tokensIn: Math.ceil(made.bytes / 4) }
}

/** An answer drawn anew, of about so many tokens. */
export function anyAnswer(random: Random, tokens: number, refused = false): Partial<PromptEvent> {
  return { answer: anyHash(random), tokensOut: Math.max(1, Math.round(tokens * random.between(0.5, 1.6))), refused }
}

export function sampled(change: Partial<PromptSampling>): Partial<PromptEvent> {
  return { sampling: { ...plainSampling, ...change } }
}

/** The time between what a person sends: seconds to minutes. */
export function pause(random: Random): number {
  return 1_000 * Math.exp(random.normal() * 1.2 + 3)
}
