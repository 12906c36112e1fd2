import type { Random } from '../attacks/random.ts'
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
}
/** Makes the prompts of one job of one account. */
export type Job = (texts: PromptTexts, random: Random) => Ask[]

export const user = (text: string): Ask => ({ messages: [{ role: 'user', text }] })
export const pick = <T>(random: Random, items: readonly T[]): T => items[random.below(items.length)] as T
const many = <T>(count: number, make: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i))
const hex = (random: Random, digits: number) => many(digits, () => random.below(16).toString(16)).join('')
const language = (texts: PromptTexts, random: Random) => pick(random, [...texts.languages.values()])
const passage = (random: Random, sentences: readonly string[], count: number) => many(count, () => pick(random, sentences)).join(' ')
const words = (random: Random, texts: PromptTexts) => pick(random, texts.ordinary).split(' ')

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

function rag(texts: PromptTexts, random: Random, source: readonly string[]): Ask[] {
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

function conversation(random: Random, source: readonly string[], turns: number): Ask[] {
  const messages: Said[] = [{ role: 'system', text: 'You are a helpful assistant.' }]
  return many(turns, () => {
    messages.push({ role: 'user', text: passage(random, source, 1) })
    const ask = { messages: [...messages] }
    messages.push({ role: 'assistant', text: passage(random, source, 2) })
    return ask
  })
}

function agent(random: Random, texts: PromptTexts): Ask[] {
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

function completion(texts: PromptTexts, random: Random): Ask[] {
  const source = pick(random, texts.sources)
  let at = 200 + random.below(Math.max(1, source.length - 1_400))
  const suffix = source.slice(at + 900, at + 1_300)
  return many(30, () => {
    at += 1 + random.below(25)
    return user(`<fim_prefix>${source.slice(Math.max(0, at - 1_500), at)}<fim_suffix>${suffix}<fim_middle>`)
  })
}

function editing(texts: PromptTexts, random: Random, instruction: string): Ask[] {
  const source = pick(random, texts.sources)
  const at = random.below(Math.max(1, source.length - 1_500))
  let code = source.slice(at, at + 1_500)
  return many(25, () => {
    code = editedLines(random, code, pick(random, texts.sources))
    return user(`${instruction}\n\n${code}`)
  })
}

function engineer(random: Random, texts: PromptTexts, source: readonly string[]): Ask[] {
  let text = passage(random, source, 3)
  return many(20, () => {
    text = edited(random, text, pick(random, source).split(' '))
    return user(text)
  })
}

function records(random: Random, line: () => string, instruction: string): Ask[] {
  const lines = many(12, line)
  return many(25, () => {
    lines.shift()
    lines.push(line())
    return user(`${instruction}\n${lines.join('\n')}`)
  })
}

/** A configuration in which one field after the other gets another value. */
function configuration(random: Random): Ask[] {
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

export const benignJobs: Readonly<Record<string, Job>> = {
  ordinary: (texts, random) => many(30, () => user(pick(random, texts.ordinary))),
  templated: (texts, random) => {
    const list = pick(random, [...texts.templated.values()])
    const from = random.below(Math.max(1, list.length - 60))
    return list.slice(from, from + 60).map(user)
  },
  'question with a system prompt': (texts, random) => {
    const system = { role: 'system', text: passage(random, texts.ordinary, 4) }
    return many(30, () => ({ messages: [system, { role: 'user', text: pick(random, texts.ordinary) }] }))
  },
  'retrieved context': (texts, random) => rag(texts, random, texts.ordinary),
  'retrieved context, other language': (texts, random) => rag(texts, random, language(texts, random)),
  conversation: (texts, random) => conversation(random, texts.ordinary, 20),
  'conversation, other language': (texts, random) => conversation(random, language(texts, random), 20),
  'agent loop': (texts, random) => agent(random, texts),
  'code completion': completion,
  'code completion, start of line': (texts, random) => {
    const source = pick(random, texts.sources)
    const from = random.below(Math.max(1, source.length - 1_200))
    return many(30, (i) => user(source.slice(from, from + 300 + i * (3 + random.below(9)))))
  },
  'code editing': (texts, random) => editing(texts, random, 'Review this code and fix its bugs.'),
  'prompt engineer': (texts, random) => engineer(random, texts, texts.ordinary),
  'prompt engineer, other language': (texts, random) => engineer(random, texts, language(texts, random)),
  'prompt engineer, words': (texts, random) => {
    let text = passage(random, texts.ordinary, 6)
    return many(25, () => user((text = edited(random, text, words(random, texts)))))
  },
  translation: (texts, random) => {
    const source = language(texts, random)
    return many(30, () => user(`Translate the following text into English. Keep names and numbers as they are.\n\n${pick(random, source)}`))
  },
  'translation, corrected': (texts, random) => {
    const source = language(texts, random)
    let text = passage(random, source, 4)
    return many(20, () => {
      text = edited(random, text, pick(random, source).split(' '))
      return user(`Improve this translation and say what you changed:\n\n${text}`)
    })
  },
  'log lines': (_texts, random) =>
    records(
      random,
      () =>
        `2026-01-${10 + random.below(18)}T10:${10 + random.below(49)}:00Z ${pick(random, ['INFO', 'WARN', 'ERROR'])} request=${hex(random, 16)} status=${pick(random, ['200', '404', '500'])} duration=${random.below(900)}ms`,
      'Is anything wrong in these log lines?',
    ),
  'identifiers in a template': (_texts, random) =>
    many(30, (i) =>
      user(
        `Write a polite reminder for order ${hex(random, 8)}-${hex(random, 4)}-${hex(random, 12)}, invoice ${1000 + i}, due in ${random.below(30)} days.`,
      ),
    ),
  'a few values in each slot': (texts, random) => {
    const slots = many(4, () => many(4, () => words(random, texts).slice(0, 3).join(' ')))
    const [a, b, c, d] = slots as [string[], string[], string[], string[]]
    return many(40, () =>
      user(
        `Write a short notice to ${pick(random, a)} about ${pick(random, b)}. Keep in mind that ${pick(random, c)} matters, and close with ${pick(random, d)} as always.`,
      ),
    )
  },
  'a few numbers in each slot': (_texts, random) =>
    many(40, () =>
      user(
        `Plan a route for ${1 + random.below(6)} vans, with ${10 * random.below(9)} parcels and a limit of ${random.below(9)} hours, from depot ${random.below(4)} to zone ${random.below(12)}, please.`,
      ),
    ),
  'one word left out': (texts, random) => {
    const parts = passage(random, texts.ordinary, 2).split(' ')
    return many(Math.min(40, parts.length), (i) =>
      user(`Is this review positive?\n\n${parts.filter((_, j) => j !== i).join(' ')}\n\nAnswer yes or no.`),
    )
  },
  'rows of a table': (_texts, random) =>
    many(30, () =>
      user(
        `Classify this record as fraud or not.\n{"id": "${hex(random, 16)}", "amount": ${random.below(100_000) / 100}, "country": "${pick(random, ['DE', 'FR', 'US', 'IN'])}", "card": "${hex(random, 8)}", "hour": ${random.below(24)}}`,
      ),
    ),
  configuration: (_texts, random) => configuration(random),
  'SQL, edited': (_texts, random) => {
    const columns = many(10, (i) => `c${i}_${hex(random, 3)}`)
    return many(20, () => {
      columns[random.below(columns.length)] =
        `${pick(random, ['sum', 'min', 'max'])}(${pick(random, ['amount', 'price', 'total'])}_${hex(random, 2)})`
      return user(
        `Explain this query:\nSELECT ${columns.join(', ')} FROM orders_${columns.length} WHERE id = ${random.below(99)} LIMIT 10;`,
      )
    })
  },
  'load test': (texts, random) => {
    const text = pick(random, texts.ordinary)
    return many(60, (i) => user(`${text} [request ${i}]`))
  },
  'load test, random identifier': (texts, random) => {
    const text = pick(random, texts.ordinary)
    return many(60, () => user(`${hex(random, 16)} ${text}`))
  },
  'several answers to one prompt': (texts, random) => {
    const ask = user(pick(random, texts.ordinary))
    return many(40, () => ({ ...ask, temperature: 1, answer: hex(random, 16) }))
  },
  'evaluation of prompts': (texts, random) => {
    const templates = many(5, () => passage(random, texts.ordinary, 1))
    return many(20, () => pick(random, texts.ordinary)).flatMap((item) => templates.map((template) => user(`${template}\n\n${item}`)))
  },
  'moderation, sometimes refused': (texts, random) =>
    many(40, () => ({
      ...user(`Is the following post toxic? Answer yes or no.\n\nPost: ${pick(random, texts.ordinary)}`),
      refused: random.below(8) === 0,
    })),
  'regular expression, worked out': (_texts, random) => {
    const parts = many(8, () => pick(random, ['[a-z]+', '\\d{2,4}', '(?:foo|bar)', '\\s*', '[^,;]+', '(\\w+)', '\\.', '^']))
    return many(20, () => {
      parts[random.below(parts.length)] = pick(random, ['[A-Z]?', '\\d+', '(?<=x)', '[0-9a-f]{8}', '.*?', '\\b', '$', '(?!\\s)'])
      return user(`Does this regular expression match dates? Explain each part.\n${parts.join('')}`)
    })
  },
}
