import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'

/** Texts that attack and honest prompts are made of; all of them lie on the machine already. */
export interface PromptTexts {
  readonly ordinary: readonly string[]
  readonly templated: ReadonlyMap<string, readonly string[]>
  /** Source files: JavaScript, TypeScript, C. */
  readonly sources: readonly string[]
  /** Paragraphs of documentation. */
  readonly prose: readonly string[]
  /** A trace of conversations: for each request the blocks of its prompt. Equal numbers are equal texts. */
  readonly trace: readonly (readonly number[])[]
  /** Sentences by language. */
  readonly languages: ReadonlyMap<string, readonly string[]>
  /** Recorded random searches, prompts in the order sent. */
  readonly searches: readonly { readonly run: string; readonly prompts: readonly string[] }[]
}

interface Row {
  readonly prompt: string
  readonly template?: string
  readonly run?: string
}

/** @param data folder of the evaluation data; @param half which half of every kind of text: nothing is in both */
export function readTexts(data: string, half: 0 | 1): PromptTexts {
  const rows = (file: string): readonly Row[] =>
    gunzipSync(readFileSync(join(data, file)))
      .toString()
      .split('\n')
      .filter((line) => line.length > 0)
      .map((line): Row => JSON.parse(line))
  const mine = <T>(items: readonly T[]) => items.filter((_, i) => i % 2 === half)
  const searches = ['gpt3.5_turbo', 'mistral-7b_simplified_template', 'r2d2', 'vicuna'].flatMap((name) => {
    const runs = grouped(rows(`llm-attacks/${name}.jsonl.gz`), (row) => row.run ?? '')
    return mine([...runs]).map(([run, prompts]) => ({ run, prompts: prompts.map((row) => row.prompt) }))
  })
  return {
    ordinary: ['gsm8k-train', 'chat-bench', 'instructions'].flatMap((name) =>
      mine(rows(`prompts/${name}.jsonl.gz`)).map((row) => row.prompt),
    ),
    templated: new Map(
      mine([...grouped(rows('prompts/templated.jsonl.gz'), (row) => row.template ?? '')]).map(([name, list]) => [
        name,
        list.map((row) => row.prompt),
      ]),
    ),
    sources: packages[half].flatMap((folder) => filesUnder(folder, /\.(js|ts|cjs|mjs|c|cc|h)$/, 2_000)),
    prose: packages[half].flatMap((folder) => filesUnder(folder, /^readme\.md$/i, 500)).flatMap(paragraphs),
    trace: readTrace(join(data, 'traffic/mooncake-conversation-12k.jsonl.gz')),
    languages: new Map(
      mine(['cs', 'de', 'es', 'fr', 'it', 'ja', 'ko', 'pl', 'pt-br', 'ru', 'tr', 'zh-cn', 'zh-tw']).map((code) => [code, sentences(code)]),
    ),
    searches,
  }
}

function grouped(rows: readonly Row[], by: (row: Row) => string): Map<string, Row[]> {
  const groups = new Map<string, Row[]>()
  for (const row of rows) {
    const group = groups.get(by(row))
    if (group) group.push(row)
    else groups.set(by(row), [row])
  }
  return groups
}

/** Packages whose files are read for the one half and for the other. */
const packages = [
  'zod fastify undici ajv kafkajs lmdb find-my-way lodash regexp-tree knip postcss nan lru-cache commander semver archiver dockerode ws'.split(
    ' ',
  ),
  'yaml openai pino protobufjs ssh2 underscore readable-stream hdr-histogram-js async glob tsconfig-paths enhanced-resolve avvio cpu-features minimatch acorn chalk json5'.split(
    ' ',
  ),
] as const

/** Files of a package whose names match, a hundred at most, none so large that it was made by a program. */
function filesUnder(folder: string, name: RegExp, least: number): string[] {
  const root = join('node_modules', folder)
  if (!existsSync(root)) return []
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && name.test(entry.name) && !entry.parentPath.includes('node_modules', root.length))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
    .filter((path) => statSync(path).size > least && statSync(path).size < 80_000)
    .slice(0, 100)
    .map((path) => readFileSync(path, 'utf8'))
}

function paragraphs(text: string): string[] {
  return text
    .split(/\n\s*\n/)
    .map((paragraph) => paragraph.trim())
    .filter((paragraph) => paragraph.length > 60 && paragraph.length < 1_200 && /^[A-Z]/.test(paragraph))
}

function readTrace(path: string): number[][] {
  return gunzipSync(readFileSync(path))
    .toString()
    .split('\n')
    .filter((line) => line.length > 0)
    .map((line): { hash_ids: number[] } => JSON.parse(line))
    .map((row) => row.hash_ids)
}

function sentences(code: string): string[] {
  const text = readFileSync(join('node_modules/typescript/lib', code, 'diagnosticMessages.generated.json'), 'utf8')
  const messages: Record<string, string> = JSON.parse(text)
  return Object.values(messages).filter((message) => message.length > 40)
}
