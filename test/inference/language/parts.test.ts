import assert from 'node:assert/strict'
import { test } from 'node:test'
import { normalised, windowEnds } from '../../../inference/language/embeddings.ts'
import { draw, logProbabilities, type Sampling } from '../../../inference/language/sampling.ts'
import { Stops } from '../../../inference/language/stops.ts'
import { flatten } from '../../../inference/language/template.ts'
import { characterOf, encode, vocabularySize } from '../../../inference/language/vocabulary.ts'

const plain: Sampling = { temperature: 1, topP: 1, presencePenalty: 0, frequencyPenalty: 0, bias: new Map() }

test('a token is a character: newline is 1, printable ASCII 2 to 96, anything else 0, once for each code point', () => {
  assert.deepEqual([...encode('\n ~')], [1, 2, 96])
  assert.deepEqual([...encode('aé🙂\t\u007f')], [67, 0, 0, 0, 0]) // 97 - 32 + 2
  for (let token = 1; token < vocabularySize; token++) assert.deepEqual([...encode(characterOf(token))], [token])
  assert.equal(characterOf(0), '\uFFFD')
  assert.equal(characterOf(97), '\uFFFD')
})

test('log probabilities count bias and penalties, and are those of the candidates alone', () => {
  const logits = Float32Array.from([9, Math.log(1), Math.log(3), Math.log(4)])
  const counts = Uint32Array.from([0, 0, 2, 0])
  const probabilities = (sampling: Partial<Sampling>, tokens = [1, 2, 3]) =>
    [...logProbabilities(logits, tokens, counts, { ...plain, ...sampling })].map((log) => Math.round(Math.exp(log) * 1e6) / 1e6)
  const rows: [Partial<Sampling>, number[]][] = [
    [{}, [1 / 8, 3 / 8, 4 / 8]],
    // e^log(2) = 2 times token 1: 2 : 3 : 4
    [{ bias: new Map([[1, Math.log(2)]]) }, [2 / 9, 3 / 9, 4 / 9]],
    // Token 2 was there: a third of 3: 1 : 1 : 4
    [{ presencePenalty: Math.log(3) }, [1 / 6, 1 / 6, 4 / 6]],
    // Twice: a quarter of 3: 1 : 0.75 : 4
    [{ frequencyPenalty: Math.log(2) }, [1 / 5.75, 0.75 / 5.75, 4 / 5.75]],
  ]
  for (const [sampling, expected] of rows) {
    const actual = probabilities(sampling)
    for (const [i, one] of expected.entries())
      assert.ok(Math.abs((actual[i] ?? 9) - one) < 2e-6, `${actual} where ${expected} was expected`)
  }
  assert.deepEqual(probabilities({}, [2, 3]), [0.428571, 0.571429]) // 3 : 4
})

test('drawing keeps to temperature and top_p', () => {
  const logs = Float64Array.from([0.1, 0.6, 0.3].map(Math.log))
  const drawn = (sampling: Partial<Sampling>, uniform: number) => draw(logs, { ...plain, ...sampling }, uniform)
  // In order of probability: 1 has [0, 0.6), 2 [0.6, 0.9), 0 the rest.
  assert.deepEqual(
    [0, 0.59, 0.61, 0.89, 0.91, 0.999_999].map((u) => drawn({}, u)),
    [1, 1, 2, 2, 0, 0],
  )
  assert.deepEqual(
    [0, 0.5, 0.999].map((u) => drawn({ temperature: 0 }, u)),
    [1, 1, 1],
  )
  // 0.6 + 0.3 reach 0.7: of the two, 1 has two thirds.
  assert.deepEqual(
    [0.66, 0.67, 0.999].map((u) => drawn({ topP: 0.7 }, u)),
    [1, 2, 2],
  )
  assert.deepEqual(
    [0, 0.999].map((u) => drawn({ topP: 0 }, u)),
    [1, 1],
  )
  // At temperature 0.5 probabilities are squared: 0.36 : 0.09 : 0.01 of 0.46, so 1 has 0.7826.
  assert.deepEqual(
    [0.78, 0.79].map((u) => drawn({ temperature: 0.5 }, u)),
    [1, 2],
  )
})

test('drawing at random gives every token its share', () => {
  const logs = Float64Array.from([0.5, 0.25, 0.25].map(Math.log))
  const counts = [0, 0, 0]
  for (let i = 0; i < 1_000; i++) counts[draw(logs, plain, i / 1_000)]!++
  assert.deepEqual(counts, [500, 250, 250])
})

test('what may become a stop sequence is held back, and let go when it does not', () => {
  const rows: [stops: string[], text: string, held: string][] = [
    [['ab'], 'xab', '01!'],
    [['aab'], 'aaab', '122!'], // the third a drops the first
    [['abcabd'], 'abcabcabd', '12345345!'],
    [['xyz', 'y'], 'xy', '1!'],
    [['aa', 'aaa'], 'aa', '1!'],
    [[], 'abc', '000'],
  ]
  for (const [sequences, text, expected] of rows) {
    const stops = new Stops(sequences)
    const held = [...text].map((character) => stops.push(character)).map((one) => (one.ended ? '!' : one.held))
    assert.equal(held.join(''), expected, `${sequences} in ${text}`)
  }
})

test('a chat becomes a line for each message', () => {
  assert.equal(
    flatten([
      { role: 'system', text: 'Be kind.' },
      { role: 'user', text: 'Hello' },
    ]),
    'system: Be kind.\nuser: Hello\n',
  )
})

test('a text is read through at most 64 windows, evenly, up to its end', () => {
  assert.deepEqual(windowEnds(3), [1, 2, 3])
  const ends = windowEnds(6_400)
  assert.deepEqual([ends.length, ends[0], ends[1], ends.at(-1)], [64, 100, 200, 6_400])
  assert.equal(windowEnds(1_000_003).at(-1), 1_000_003)
})

test('embeddings have length 1', () => {
  assert.deepEqual([...normalised(Float32Array.from([3, 0, 4]))], [3 / 5, 0, 4 / 5].map(Math.fround))
  assert.deepEqual([...normalised(Float32Array.from([0, 0]))], [0, 0])
})
