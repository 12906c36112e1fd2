import {
  agent,
  completion,
  configuration,
  continued,
  conversation,
  edited,
  editing,
  engineer,
  hex,
  type Job,
  language,
  many,
  mostlyRefused,
  paragraphsOf,
  passage,
  pick,
  positions,
  rag,
  records,
  shrinking,
  traced,
  user,
  variants,
  words,
} from './prompts-jobs.ts'

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
  'documentation, edited': (texts, random) => {
    let text = paragraphsOf(random, texts, 4)
    return many(25, () => {
      text = edited(random, text, pick(random, texts.prose).split(' '))
      return user(`Proofread this:\n\n${text}`)
    })
  },
  'conversation about documentation': (texts, random) => conversation(random, texts.prose, 20),
  'retrieved documentation': (texts, random) => rag(texts, random, texts.prose),
  'conversation trace': traced,
  'conversation trace, continued': continued,
  'sequence, letters changed': (_texts, random) =>
    variants(random, 'ACDEFGHIKLMNPQRSTVWY', 80, 'How stable is this protein likely to be? Answer with a number.'),
  'molecule, letters changed': (_texts, random) => variants(random, 'CCCCNOS()=1c', 40, 'How soluble is this molecule?'),
  'positions of a game': (_texts, random) => positions(random),
  'words spelled in other ways': (texts, random) => {
    const text = passage(random, texts.ordinary, 2)
    return many(25, () =>
      user(
        `Is this spelled correctly?\n${text
          .split(' ')
          .map((word) => (random.below(10) === 0 ? word.toUpperCase() : word))
          .join(' ')}`,
      ),
    )
  },
  'batch, mostly refused': mostlyRefused,
  'input made smaller': shrinking,
  'refused, tried again': (texts, random) =>
    many(8, () => pick(random, texts.ordinary)).flatMap((text) => many(1 + random.below(5), () => ({ ...user(text), refused: true }))),
  'many slots and a number': (texts, random) => {
    const slots = many(3, () => many(5, () => words(random, texts).slice(0, 4).join(' ')))
    return many(150, () =>
      user(`Please ${slots.map((slot) => pick(random, slot)).join(' ')} in plain words. Note ${random.below(10_000)}.`),
    )
  },
  'refused once an hour': (texts, random) => {
    const ask = user(pick(random, texts.ordinary))
    return many(40, () => ({ ...ask, refused: true, after: 3_600_000 }))
  },
  'regular expression, worked out': (_texts, random) => {
    const parts = many(8, () => pick(random, ['[a-z]+', '\\d{2,4}', '(?:foo|bar)', '\\s*', '[^,;]+', '(\\w+)', '\\.', '^']))
    return many(20, () => {
      parts[random.below(parts.length)] = pick(random, ['[A-Z]?', '\\d+', '(?<=x)', '[0-9a-f]{8}', '.*?', '\\b', '$', '(?!\\s)'])
      return user(`Does this regular expression match dates? Explain each part.\n${parts.join('')}`)
    })
  },
}
