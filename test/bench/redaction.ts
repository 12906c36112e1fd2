/**
 * Prints what redaction costs, what it finds of a seeded corpus, and what it finds in ordinary prose, where there is nothing:
 * `node test/bench/redaction.ts`.
 */
import { loadScripture } from '../../inference/datasets/scripture.ts'
import { RedactionConfiguration, SanitiseConfiguration } from '../../inference/redaction/configuration.ts'
import { GuardedTexts, TextGuard } from '../../inference/redaction/text-guard.ts'
import { corpusOf, lineOf, scoreOf } from '../inference/redaction/corpus.ts'

const rules = {
  redaction: RedactionConfiguration.parse({ input: 'token', output: 'mask' }),
  sanitise: SanitiseConfiguration.parse({ input: 'strip', output: 'strip' }),
}
const guard = new TextGuard(rules)
const textsOf = () => new GuardedTexts(guard, 'alice', () => {})
const verses = loadScripture()
  .held.split('\n')
  .filter((verse) => verse !== '')

for (const row of scoreOf(guard.finder, corpusOf(2_000, 42))) console.log(lineOf(row))
const falseOnes = verses.filter((verse) => textsOf().input(verse) !== verse).length
console.log(`false redactions: ${falseOnes} in ${verses.length} sentences of prose`)

const prose = verses.join(' ')
const chat = `${prose.slice(0, 900)} Write to ann.lee@example.org or call (415) 555-2671 on 2024-01-15. ${prose.slice(900, 1_800)}`
for (const [name, text] of [
  ['prose, 2 kB', prose.slice(0, 2_000)],
  ['prose, 10 kB', prose.slice(0, 10_000)],
  ['a chat with two findings, 2 kB', chat],
] as const) {
  const once = () => void textsOf().input(text)
  for (let i = 0; i < 500; i++) once()
  const began = process.cpuUsage()
  for (let i = 0; i < 2_000; i++) once()
  const { user, system } = process.cpuUsage(began)
  console.log(`${name}: ${((user + system) / 2_000).toFixed(1)} µs a request`)
}
const words = prose.slice(0, 10_000).match(/\s?\S+/g) ?? []
const streamOnce = () => {
  const stream = textsOf().stream()
  for (const word of words) stream.push(word)
  stream.end()
}
for (let i = 0; i < 50; i++) streamOnce()
const began = process.cpuUsage()
for (let i = 0; i < 200; i++) streamOnce()
const { user, system } = process.cpuUsage(began)
console.log(`streamed, masked: ${((user + system) / 200 / words.length).toFixed(2)} µs a word`)
