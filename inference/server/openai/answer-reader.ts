import { isObject, objectsIn } from '../../json-object.ts'
import type { Verdict } from '../exchange.ts'
import { type AnswerObject, choicesOf, countOf, messageOf } from './answer-object.ts'
import type { PhraseSearch, Progress } from './phrase-search.ts'
import { openingLength } from './refusals.ts'

/** Text of one request's answers that is kept until its event is written, in characters; what is beyond is searched, and not hashed. */
const maxKept = 65_536
const maxChoices = 128
/** As the contract of events has it. */
const maxFound = 16

/** What a model's answers are looked at for. */
export interface AnswerExamination {
  readonly refuses: (opening: string) => boolean
  /** Undefined where there are none. */
  readonly canaries: PhraseSearch | undefined
  /** By index of the phrase. */
  readonly names: readonly string[]
}

/** What one answer has said. Thoughts and calls of tools may leak as well, but are not the answer. */
interface Choice {
  text: string
  said: boolean
  ended: boolean
  refused: boolean
  readonly progress: { readonly said: Progress; readonly thought: Progress; readonly called: Progress } | undefined
  readonly found: Set<number>
}

/** Reads along as an answer passes: whether it refuses, which canaries are in it, and what its text hashes to. */
export class AnswerReader {
  readonly #examination: AnswerExamination
  readonly #hashOf: (text: string) => string
  readonly #choices = new Map<number, Choice>()
  /** Characters kept of each answer: an even share, so that it does not depend on how they come interleaved. */
  readonly #kept: number

  /**
   * @param answers that were asked for
   * @param hashOf keyed
   */
  constructor(examination: AnswerExamination, answers: number, hashOf: (text: string) => string) {
    this.#examination = examination
    this.#hashOf = hashOf
    this.#kept = Math.max(openingLength, Math.floor(maxKept / Math.max(1, answers)))
  }

  /** A whole answer, or an event of a stream. */
  read(answer: AnswerObject): void {
    for (const object of choicesOf(answer)) {
      const choice = this.#choice(countOf(object['index']) ?? 0)
      if (choice === undefined) continue
      const reason = object['finish_reason']
      if (typeof reason === 'string') choice.ended = true
      if (reason === 'content_filter') choice.refused = true
      this.#readMessage(choice, messageOf(object))
    }
  }

  /**
   * An event of a stream that says one more word, found without parsing it: a quote within a string has a backslash before it,
   * so that a key in quotes with a colon after it is a key.
   *
   * @param event bytes as latin1
   * @returns false where the event is of another form, and must be parsed
   */
  readWord(event: string): boolean {
    const at = event.indexOf(wordKey)
    if (at === -1 || event.includes(wordKey, at + 1) || others.test(event)) return false
    let from = at + wordKey.length
    while (event.charCodeAt(from) === 0x20) from++
    if (event.charCodeAt(from) !== 0x22) return false
    const end = quoteAfter(event, from + 1)
    const index = indexIn(event)
    if (end === -1 || index === undefined) return false
    const choice = this.#choice(index)
    if (choice === undefined) return true
    const word = wordOf(event.slice(from, end + 1))
    if (word === undefined) return false
    this.#say(choice, word)
    return true
  }

  /** @param answers numbers of its first answer, and of the first that is another prompt's */
  verdictOf([from, until]: readonly [number, number]): Verdict {
    const { refuses, names } = this.#examination
    const texts: string[] = []
    const found = new Set<number>()
    let [answers, refusals] = [0, 0]
    for (let index = from; index < until; index++) {
      const choice = this.#choices.get(index)
      if (choice === undefined || !(choice.said || choice.ended || choice.refused)) continue
      answers++
      if (choice.refused || refuses(choice.text)) refusals++
      if (choice.said) texts.push(choice.text)
      for (const phrase of choice.found) found.add(phrase)
    }
    return {
      // One of several that complies is enough for who asks for several.
      refused: answers === 0 ? null : refusals === answers,
      answer: texts.length === 0 ? null : this.#hashOf(texts.join('\0')),
      canaries: [...new Set([...found].map((phrase) => names[phrase] ?? ''))].slice(0, maxFound),
    }
  }

  #readMessage(choice: Choice, message: AnswerObject): void {
    const { content, text, refusal, reasoning, reasoning_content } = message
    for (const said of [content, text]) {
      if (typeof said === 'string') this.#say(choice, said)
      // Some servers write parts.
      else for (const part of objectsIn(said)) if (typeof part['text'] === 'string') this.#say(choice, part['text'])
    }
    if (typeof refusal === 'string' && refusal !== '') {
      choice.refused = true
      this.#say(choice, refusal)
    }
    for (const thought of [reasoning, reasoning_content])
      if (typeof thought === 'string') this.#search(choice, choice.progress?.thought, thought)
    for (const { function: called, custom } of objectsIn(message['tool_calls'])) this.#readCall(choice, called ?? custom)
    this.#readCall(choice, message['function_call'])
  }

  /** What a tool is asked goes on to wherever the tool asks. */
  #readCall(choice: Choice, called: unknown): void {
    if (!isObject(called)) return
    for (const written of [called['name'], called['arguments'], called['input']])
      if (typeof written === 'string') this.#search(choice, choice.progress?.called, written)
  }

  #choice(index: number): Choice | undefined {
    const known = this.#choices.get(index)
    if (known !== undefined || index >= maxChoices) return known
    const { canaries } = this.#examination
    const progress = canaries === undefined ? undefined : { said: canaries.start(), thought: canaries.start(), called: canaries.start() }
    const choice = { text: '', said: false, ended: false, refused: false, progress, found: new Set<number>() }
    this.#choices.set(index, choice)
    return choice
  }

  #say(choice: Choice, text: string): void {
    if (text === '') return
    choice.said = true
    const room = this.#kept - choice.text.length
    if (room > 0) choice.text += text.length <= room ? text : text.slice(0, room)
    this.#search(choice, choice.progress?.said, text)
  }

  #search({ found }: Choice, progress: Progress | undefined, text: string): void {
    if (progress !== undefined) this.#examination.canaries?.push(progress, text, (phrase) => found.add(phrase))
  }
}

const wordKey = '"content":'
const others = /"(?:text|refusal|reasoning|reasoning_content|tool_calls)"[ \t]*:[ \t]*(?!null)/

/** The next quote that no backslash makes part of the string; -1 where there is none. */
function quoteAfter(event: string, from: number): number {
  for (let at = event.indexOf('"', from); at !== -1; at = event.indexOf('"', at + 1)) {
    let before = at
    while (event.charCodeAt(before - 1) === 0x5c) before--
    if ((at - before) % 2 === 0) return at
  }
  return -1
}

/** The only `index` in an event; undefined where it names none, or several. */
function indexIn(event: string): number | undefined {
  const at = event.indexOf('"index":')
  if (at === -1 || event.includes('"index":', at + 1)) return undefined
  const index = Number.parseInt(event.slice(at + 8, at + 16), 10)
  return Number.isNaN(index) || index < 0 ? undefined : index
}

/** @param quoted a JSON string, bytes as latin1 */
function wordOf(quoted: string): string | undefined {
  if (isPlain.test(quoted)) return quoted.slice(1, -1)
  try {
    const word: unknown = JSON.parse(Buffer.from(quoted, 'latin1').toString())
    return typeof word === 'string' ? word : undefined
  } catch {
    return undefined
  }
}

/** Nothing escaped, and one byte a character. */
const isPlain = /^"[ !#-[\]-~]*"$/
