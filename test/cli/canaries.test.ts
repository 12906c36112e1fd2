import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'
import { ModelConfiguration } from '../../inference/configuration.ts'

const main = fileURLToPath(new URL('../../cli/main.ts', import.meta.url))
const plant = (...args: string[]) =>
  execFileSync(process.execPath, [main, 'canaries', 'plant', '--model', 'assistant', ...args], { encoding: 'utf8', stdio: 'pipe' })

test('a canary is planted with 128 random bits and the lines that have it looked for', () => {
  const said = plant('--name', 'faq')
  const [text = ''] = said.split('\n')
  assert.match(text, /^canary-[0-9a-f]{32}$/)
  const { models } = parse(/^models:\n(?: .*\n)+/m.exec(said)?.[0] ?? '')
  assert.deepEqual(ModelConfiguration.parse(models.assistant).text.canaries, [{ name: 'faq', text }])
  const other = JSON.parse(plant('--json'))
  assert.equal(other.name, 'system-prompt')
  assert.notEqual(other.text, text)
  assert.throws(() => plant('--name', 'no name'))
})
