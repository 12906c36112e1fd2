import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { characterOf, encode } from '../../inference/language/vocabulary.ts'
import { ask, tensor, type Using } from './runtime-ask.ts'

const modelsDir = fileURLToPath(new URL('../../inference/models/', import.meta.url))
const window = 32

/** Tokens of a text's last characters, behind as many 0 as it is too short. */
function tokensOf(text: string): Int32Array {
  const tokens = new Int32Array(window)
  const last = encode(text).slice(-window)
  tokens.set(last, window - last.length)
  return tokens
}

/** The language model as a model: tokens in, a row of logits and one of hidden units for each. */
export function languageModel(using: Using): void {
  test('a language model gives the character that comes next, whoever shares its batch', async () => {
    await using({ modelsDir, pools: [{ name: 'a', models: ['language'] }] }, async (runtime) => {
      const info = runtime.info('language', '1')
      assert.deepEqual([info?.platform, info?.inputs[0]?.range], ['cordon-language', [0, 96]])
      const texts = { 'In the beginnin': 'g', 'And it came to pas': 's', 'the children of Israe': 'l' }
      const next = async (text: string) => {
        const { answer } = ask(runtime, 'language', [tensor('tokens', 'INT32', [1, window], tokensOf(text))], ['logits', 'hidden'])
        const [logits, hidden] = await answer
        assert.deepEqual(
          [logits?.shape, hidden?.shape],
          [
            [1, 97],
            [1, 192],
          ],
        )
        const values = Array.from(logits?.data ?? [], Number)
        return characterOf(values.indexOf(Math.max(...values)))
      }
      assert.deepEqual(await Promise.all(Object.keys(texts).map(next)), Object.values(texts))
      assert.equal(runtime.statistics('language', '1')?.executionCount, 1)
    })
  })
}
