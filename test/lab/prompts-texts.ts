import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'

/** Texts that attack and honest prompts are made of; all of them lie on the machine already. */
export interface PromptTexts {
  readonly ordinary: readonly string[]
  readonly templated: ReadonlyMap<string, readonly string[]>
  /** Source files, JavaScript and TypeScript. */
  readonly sources: readonly string[]
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
    sources: mine(sourceFiles()),
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

function sourceFiles(): string[] {
  const folders = ['zod/src/v4/core', 'zod/src/v4/classic', 'zod/src/v4/locales']
  return folders.flatMap((folder) => {
    const path = join('node_modules', folder)
    return readdirSync(path)
      .filter((name) => name.endsWith('.ts'))
      .map((name) => readFileSync(join(path, name), 'utf8'))
      .filter((text) => text.length > 2_000)
  })
}

function sentences(code: string): string[] {
  const text = readFileSync(join('node_modules/typescript/lib', code, 'diagnosticMessages.generated.json'), 'utf8')
  const messages: Record<string, string> = JSON.parse(text)
  return Object.values(messages).filter((message) => message.length > 40)
}
