import { randomBytes } from 'node:crypto'
import type { RedactionConfiguration, SanitiseConfiguration } from './configuration.ts'
import { Finder } from './finder.ts'
import { MaskStream } from './mask-stream.ts'
import type { PhoneCheck } from './phone-check.ts'
import { RestoreStream } from './restore-stream.ts'
import { SanitiseStream, sanitise } from './sanitise.ts'
import { ChainedStream, type TextStream } from './text-stream.ts'
import { maskOf, Vault } from './vault.ts'

interface TextRules {
  readonly redaction: RedactionConfiguration
  readonly sanitise: SanitiseConfiguration
}

type Direction = 'input' | 'output'

/** Why a text may not go to the model: the message names the kind of what it has, never what. */
interface Objection {
  readonly reason: 'invisible_characters' | 'personal_data'
  readonly message: string
}

type Count = (direction: Direction, kind: string) => void

/** What one model's texts go through, on their way in and out. */
export class TextGuard {
  readonly rules: TextRules
  readonly finder: Finder
  /** Of tokens; it lives as long as this process. */
  readonly key = randomBytes(32)

  constructor(rules: TextRules) {
    this.rules = rules
    this.finder = new Finder(rules.redaction)
  }

  get looksAtRequests(): boolean {
    return this.rules.redaction.input !== 'off' || this.rules.sanitise.input !== 'off'
  }

  get looksAtAnswers(): boolean {
    return this.rules.redaction.output !== 'off' || this.rules.sanitise.output !== 'off'
  }
}

/** By configuration, of which there are as many as models are configured: whichever API a model is asked by, its tokens are the same. */
const guards = new WeakMap<TextRules, TextGuard>()

/**
 * What the texts of one request go through.
 *
 * @param rules of the model's configuration, the same object each time
 * @param count is told of each thing that was found, by kind
 * @returns undefined where the model may read and say anything
 */
export function openTexts(rules: TextRules, principal: string, count: Count): GuardedTexts | undefined {
  let guard = guards.get(rules)
  if (guard === undefined) {
    guard = new TextGuard(rules)
    guards.set(rules, guard)
  }
  return guard.looksAtRequests || guard.looksAtAnswers ? new GuardedTexts(guard, principal, count) : undefined
}

/** One request's texts and those of its answer. Nothing of them is kept once it is gone. */
export class GuardedTexts {
  readonly #guard: TextGuard
  readonly #phones: PhoneCheck
  readonly #vault: Vault
  readonly #count: Count

  /** @param count is told of each thing that was found, by kind */
  constructor(guard: TextGuard, principal: string, count: Count) {
    this.#guard = guard
    this.#phones = guard.finder.phones()
    this.#vault = new Vault({ key: guard.key, principal })
    this.#count = count
  }

  /** Whether a request's texts are to be shown to {@link inspect} and {@link input}. */
  get looksAtRequests(): boolean {
    return this.#guard.looksAtRequests
  }

  /** Whether an answer is kept from saying something: then what cannot be looked into may not pass. */
  get hidesInAnswers(): boolean {
    const { redaction, sanitise } = this.#guard.rules
    return redaction.output === 'mask' || sanitise.output !== 'off'
  }

  /** Whether anything may change in an answer. */
  get changesAnswers(): boolean {
    return this.hidesInAnswers || (this.#guard.rules.redaction.output === 'restore' && this.#vault.size > 0)
  }

  /** Looks at each text of a request before {@link input} changes any. @returns why the request is refused, where it is */
  inspect(text: string): Objection | undefined {
    const { redaction, sanitise: cleaning } = this.#guard.rules
    if (cleaning.input === 'refuse' && sanitise(text) !== text) {
      this.#count('input', 'invisible')
      return { reason: 'invisible_characters', message: 'this model takes no control or invisible characters' }
    }
    if (redaction.input === 'token') this.#vault.reserve(text)
    if (redaction.input !== 'refuse') return undefined
    const [found] = this.#guard.finder.find(this.#clean(text, 'input'), this.#phones)
    if (found === undefined) return undefined
    this.#count('input', found.kind)
    return { reason: 'personal_data', message: `this model takes no personal data or secrets; there is one of kind ${found.kind}` }
  }

  /** A text as the model may read it; the same string where nothing applies. */
  input(text: string): string {
    const clean = this.#clean(text, 'input')
    const { input } = this.#guard.rules.redaction
    if (input === 'mask') return this.#replace(clean, 'input', maskOf)
    return input === 'token' ? this.#replace(clean, 'input', (kind, value) => this.#vault.tokenOf(kind, value)) : clean
  }

  /** A text of an answer as the client may read it; the same string where nothing applies. */
  output(text: string): string {
    const { output } = this.#guard.rules.redaction
    const clean = this.#clean(text, 'output')
    if (output === 'restore') return this.#vault.restore(clean)
    return output === 'mask' ? this.#replace(clean, 'output', maskOf) : clean
  }

  /** The same, piece by piece. */
  stream(): TextStream {
    const { redaction, sanitise: cleaning } = this.#guard.rules
    const streams: TextStream[] = cleaning.output === 'off' ? [] : [new SanitiseStream(() => this.#count('output', 'invisible'))]
    if (redaction.output === 'restore') streams.push(new RestoreStream(this.#vault))
    if (redaction.output === 'mask') streams.push(new MaskStream(this.#guard.finder, this.#phones, (kind) => this.#counted('output', kind)))
    return new ChainedStream(streams)
  }

  #clean(text: string, direction: Direction): string {
    if (this.#guard.rules.sanitise[direction] === 'off') return text
    const clean = sanitise(text)
    if (clean !== text) this.#count(direction, 'invisible')
    return clean
  }

  #counted(direction: Direction, kind: string): string {
    this.#count(direction, kind)
    return maskOf(kind)
  }

  #replace(text: string, direction: Direction, write: (kind: string, value: string) => string): string {
    const found = this.#guard.finder.find(text, this.#phones)
    if (found.length === 0) return text
    let replaced = ''
    let at = 0
    for (const { start, end, kind } of found) {
      this.#count(direction, kind)
      replaced += text.slice(at, start) + write(kind, text.slice(start, end))
      at = end
    }
    return replaced + text.slice(at)
  }
}
