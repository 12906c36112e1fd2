import { type Random, seeded } from '../attacks/random.ts'
import type { PromptTexts } from './prompts-texts.ts'

export interface Said {
  readonly role: string
  readonly text: string
}
/** One prompt of a job. */
export interface Ask {
  readonly messages: readonly Said[]
  readonly refused?: boolean | null
  readonly answer?: string | null
  readonly temperature?: number
  /** Milliseconds since the one before; half a second by default. */
  readonly after?: number
}
/** Makes the prompts of one job of one account. */
export type Job = (texts: PromptTexts, random: Random) => Ask[]

export const user = (text: string): Ask => ({ messages: [{ role: 'user', text }] })
export const pick = <T>(random: Random, items: readonly T[]): T => items[random.below(items.length)] as T
export const many = <T>(count: number, make: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i))
export const hex = (random: Random, digits: number) => many(digits, () => random.below(16).toString(16)).join('')
export const language = (texts: PromptTexts, random: Random) => pick(random, [...texts.languages.values()])
export const passage = (random: Random, sentences: readonly string[], count: number) => many(count, () => pick(random, sentences)).join(' ')
export const words = (random: Random, texts: PromptTexts) => pick(random, texts.ordinary).split(' ')

/** Replaces, deletes or inserts a few words of a text, as a writer does. */
export function edited(random: Random, text: string, source: readonly string[]): string {
  const parts = text.split(' ')
  const at = random.below(Math.max(1, parts.length))
  const count = 1 + random.below(4)
  const start = random.below(Math.max(1, source.length - 5))
  const fresh = source.slice(start, start + 1 + random.below(5))
  parts.splice(at, random.below(3) === 0 ? 0 : count, ...(random.below(4) === 0 ? [] : fresh))
  return parts.join(' ')
}

function editedLines(random: Random, text: string, source: string): string {
  const lines = text.split('\n')
  const other = source.split('\n')
  const start = random.below(other.length)
  lines.splice(random.below(lines.length), 1 + random.below(2), ...other.slice(start, start + 1 + random.below(3)))
  return lines.join('\n')
}

export const paragraphsOf = (random: Random, texts: PromptTexts, count: number) => many(count, () => pick(random, texts.prose)).join('\n\n')

/** Requests of a trace, each made of its prefix blocks: the text of a block follows from its number. */
export function traced(texts: PromptTexts, random: Random): Ask[] {
  const salt = random.below(1_000_000)
  const from = random.below(texts.trace.length - 60)
  return texts.trace.slice(from, from + 60).map((blocks) =>
    user(
      blocks
        .slice(0, 40)
        .map((block) => passage(seeded(salt + block), texts.prose, 2))
        .join('\n'),
    ),
  )
}

/** One long conversation of a trace, whose next request has the blocks of the one before and some more. */
export function continued(texts: PromptTexts, random: Random): Ask[] {
  const blocks = many(45, () => passage(random, random.below(3) === 0 ? texts.sources.map((text) => text.slice(0, 400)) : texts.prose, 1))
  return many(25, (i) => user(`${blocks.slice(0, 4 + i).join('\n')}\n${pick(random, texts.ordinary)}`))
}

/** A few letters of a string changed each time, and the best kept: what a designer of sequences does. */
export function variants(random: Random, letters: string, length: number, instruction: string): Ask[] {
  let best = many(length, () => pick(random, [...letters]))
  return many(30, () => {
    const tried = [...best]
    for (let i = 0; i < 1 + random.below(3); i++) tried[random.below(length)] = pick(random, [...letters])
    if (random.below(3) === 0) best = tried
    return user(`${instruction}\n${tried.join('')}`)
  })
}

/** Moves of a game, each position beside the question. */
export function positions(random: Random): Ask[] {
  const board = many(8, () => many(8, () => pick(random, ['p', 'P', 'n', 'R', '1', '1', '1', '2', 'q', 'k'])).join(''))
  return many(25, (i) => {
    const row = random.below(8)
    const at = random.below(8)
    const line = board[row] as string
    board[row] = line.slice(0, at) + pick(random, ['1', 'p', 'N']) + line.slice(at + 1)
    return user(`What is the best move here?\n${board.join('/')} ${i % 2 === 0 ? 'w' : 'b'} KQkq - 0 ${i}`)
  })
}

/** An item after the other that the model refuses more often than not, in one template. */
export function mostlyRefused(texts: PromptTexts, random: Random): Ask[] {
  const template = passage(random, texts.prose, 1)
  return many(40, () => ({ ...user(`${template}\n\n${pick(random, texts.ordinary)}`), refused: random.below(10) < 6 }))
}

/** Failing input made smaller and smaller, as a fuzzer does: each half that is not needed is left out. */
export function shrinking(texts: PromptTexts, random: Random): Ask[] {
  let lines = pick(random, texts.sources).split('\n').slice(0, 60)
  return many(30, () => {
    const from = random.below(lines.length)
    const tried = lines.filter((_, i) => i < from || i > from + lines.length / 8)
    if (random.below(2) === 0 && tried.length > 4) lines = tried
    return user(`Does this still crash the parser?\n${tried.join('\n')}`)
  })
}

export function rag(texts: PromptTexts, random: Random, source: readonly string[]): Ask[] {
  const documents = many(12, () => passage(random, source, 3))
  const system = {
    role: 'system',
    text: 'Answer the question from the context alone. If the context does not say, answer that you do not know.',
  }
  return many(30, () => {
    const context = many(3, () => pick(random, documents)).join('\n\n')
    return { messages: [system, { role: 'user', text: `Context:\n${context}\n\nQuestion: ${pick(random, source)}` }] }
  })
}

export function conversation(random: Random, source: readonly string[], turns: number): Ask[] {
  const messages: Said[] = [{ role: 'system', text: 'You are a helpful assistant.' }]
  return many(turns, () => {
    messages.push({ role: 'user', text: passage(random, source, 1) })
    const ask = { messages: [...messages] }
    messages.push({ role: 'assistant', text: passage(random, source, 2) })
    return ask
  })
}

export function agent(random: Random, texts: PromptTexts): Ask[] {
  const messages: Said[] = [
    { role: 'system', text: 'You are an agent that works in a repository. Call one tool at a time, in JSON, and wait for its result.' },
    { role: 'user', text: pick(random, texts.ordinary) },
  ]
  return many(25, (i) => {
    const ask = { messages: [...messages] }
    messages.push({
      role: 'assistant',
      text: `{"tool": "read", "call": "${hex(random, 12)}", "path": "src/${hex(random, 4)}.ts", "line": ${i * 40}}`,
    })
    const source = pick(random, texts.sources)
    const at = random.below(Math.max(1, source.length - 600))
    messages.push({ role: 'tool', text: `{"call": "${hex(random, 12)}", "status": ${random.below(2)}}\n${source.slice(at, at + 600)}` })
    return ask
  })
}

export function completion(texts: PromptTexts, random: Random): Ask[] {
  const source = pick(random, texts.sources)
  let at = 200 + random.below(Math.max(1, source.length - 1_400))
  const suffix = source.slice(at + 900, at + 1_300)
  return many(30, () => {
    at += 1 + random.below(25)
    return user(`<fim_prefix>${source.slice(Math.max(0, at - 1_500), at)}<fim_suffix>${suffix}<fim_middle>`)
  })
}

export function editing(texts: PromptTexts, random: Random, instruction: string): Ask[] {
  const source = pick(random, texts.sources)
  const at = random.below(Math.max(1, source.length - 1_500))
  let code = source.slice(at, at + 1_500)
  return many(25, () => {
    code = editedLines(random, code, pick(random, texts.sources))
    return user(`${instruction}\n\n${code}`)
  })
}

export function engineer(random: Random, texts: PromptTexts, source: readonly string[]): Ask[] {
  let text = passage(random, source, 3)
  return many(20, () => {
    text = edited(random, text, pick(random, source).split(' '))
    return user(text)
  })
}

export function records(random: Random, line: () => string, instruction: string): Ask[] {
  const lines = many(12, line)
  return many(25, () => {
    lines.shift()
    lines.push(line())
    return user(`${instruction}\n${lines.join('\n')}`)
  })
}

/** A configuration in which one field after the other gets another value. */
export function configuration(random: Random): Ask[] {
  const fields = many(
    14,
    (i) => [`option_${i}_${pick(random, ['rate', 'size', 'path', 'key', 'mode'])}`, hex(random, 10)] as [string, string],
  )
  return many(20, () => {
    const field = pick(random, fields)
    field[1] = random.below(2) === 0 ? hex(random, 10) : String(random.below(10_000))
    return user(`Check this configuration for mistakes:\n${JSON.stringify(Object.fromEntries(fields), null, 2)}`)
  })
}
