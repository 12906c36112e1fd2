import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { addNoise } from '../../../inference/hardening/noise.ts'
import { padEvents, padInference, padJson } from '../../../inference/hardening/padding.ts'
import { type Hardener, harden, hardenTensor, hardenText, stricter } from '../../../inference/server/harden.ts'
import { withAlternatives } from '../../../inference/server/openai/alternatives.ts'
import { hardenAnswer } from '../../../inference/server/openai/harden-answer.ts'
import { Hardening } from '../../../schemas/index.ts'

const seed = { seed: 1 }
const row = fc
  .array(fc.double({ min: 1e-6, max: 1, noNaN: true }), { minLength: 2, maxLength: 12 })
  .map((weights) => Float32Array.from(weights, (weight) => weight / weights.reduce((a, b) => a + b, 0)))
const hardener = fc.record<Hardener>({
  level: fc.constantFrom(...Hardening.options),
  decimals: fc.integer({ min: 0, max: 6 }),
  k: fc.integer({ min: 1, max: 12 }),
  noise: fc.constantFrom(0, 0.05, 0.1),
  padTo: fc.constantFrom(0, 64),
  floorMs: fc.constantFrom(0, 20),
  watermark: fc.boolean(),
})
const words = fc.tuple(fc.nat(), fc.nat(), fc.nat(), fc.nat())
const topOf = (values: ArrayLike<number>) => Array.from(values).indexOf(Math.max(...Array.from(values)))
const sumOf = (values: ArrayLike<number>) => Array.from(values).reduce((a, b) => a + b, 0)

describe('degrees', () => {
  it('keep the top class, of logits too', () => {
    fc.assert(
      fc.property(row, hardener, fc.constantFrom(0, -2), (given, how, shift) => {
        const values = given.map((value) => value + shift)
        assert.equal(topOf(harden(values, values.length, how)), topOf(values))
      }),
      seed,
    )
  })

  it('done twice are as done once', () => {
    fc.assert(
      fc.property(row, hardener, fc.constantFrom(0, -2), (given, how, shift) => {
        const once = Float32Array.from(
          harden(
            given.map((value) => value + shift),
            given.length,
            how,
          ),
        )
        assert.deepEqual(Float32Array.from(harden(once, once.length, how)), once)
      }),
      seed,
    )
  })

  it('leave k values at most, as they would be rounded, and no other sum than what is left', () => {
    fc.assert(
      fc.property(row, fc.integer({ min: 1, max: 12 }), (given, k) => {
        const few = harden(given, given.length, { level: 'top-k', decimals: 3, k })
        const all = harden(given, given.length, { level: 'rounded', decimals: 3 })
        assert.ok(few.filter((value) => value !== 0).length <= k)
        for (const [i, value] of few.entries()) assert.ok(value === 0 || Math.abs(value - (all[i] ?? 0)) < 0.0011)
        assert.ok(sumOf(few) <= sumOf(all) + 0.0011)
      }),
      seed,
    )
  })

  it('by example', () => {
    const given = Float32Array.from([0.5, 0.25, 0.15, 0.1])
    assert.deepEqual(harden(given, 4, { level: 'top-k', decimals: 2, k: 2 }), [0.5, 0.25, 0, 0])
    assert.deepEqual(harden(given, 4, { level: 'label-only', decimals: 2 }), [1, 0, 0, 0])
    // 1.5 stays; what does not is a step of 0.1 below the least that does, 0.5 being taken for the top.
    assert.deepEqual(harden(Float32Array.from([-0.5, -1.5, -3]), 3, { level: 'top-k', decimals: 1, k: 2 }), [-0.5, -1.5, -1.6])
    const text = {
      name: 'p',
      datatype: 'BYTES',
      shape: [1, 3],
      data: ['0.512:2:c', '0.31:0:a', '0.1:1:b'].map((one) => Buffer.from(one)),
    } as const
    const shown = hardenText(text, 3, { level: 'top-k', decimals: 1, k: 2 }).data
    assert.deepEqual(ArrayBuffer.isView(shown) ? [] : shown.map((one) => Buffer.from(one).toString()), ['0.5:2:c', '0.3:0:a', ''])
    assert.equal(hardenText(text, 3, { level: 'none', decimals: 0 }), text)
    const tensor = { name: 'p', datatype: 'FP32', shape: [1, 4], data: given } as const
    assert.equal(hardenTensor(tensor, 4, { level: 'none', decimals: 0, noise: 0.1 }), tensor)
  })
})

describe('the stricter of two', () => {
  it('is of everything the stricter, whichever comes first', () => {
    const few: Hardener = { level: 'top-k', decimals: 3, k: 5, noise: 0.1 }
    const rounded: Hardener = { level: 'rounded', decimals: 1, k: 2, padTo: 64, watermark: true }
    const both = { level: 'top-k', decimals: 1, k: 5, noise: 0.1, padTo: 64, floorMs: 0, watermark: true }
    assert.deepEqual(stricter(few, rounded), both)
    assert.deepEqual(stricter(rounded, few), both)
    // Decimals at `none` are nobody's wish.
    assert.equal(stricter({ level: 'none', decimals: 0 }, few).decimals, 3)
  })

  it('loses nothing in any order', () => {
    fc.assert(
      fc.property(hardener, hardener, hardener, (a, b, c) => {
        assert.deepEqual(stricter(a, stricter(b, c)), stricter(stricter(a, b), c))
        assert.deepEqual(stricter(a, b), stricter(b, a))
      }),
      seed,
    )
  })
})

describe('noise', () => {
  it('keeps the top class and the sum, and stays within its bound', () => {
    fc.assert(
      fc.property(row, words, fc.constantFrom(0.01, 0.1), (given, drawn, most) => {
        const noisy = Float64Array.from(given)
        addNoise(noisy, most, drawn)
        assert.equal(topOf(noisy), topOf(given))
        assert.ok(Math.abs(sumOf(noisy) - sumOf(given)) < 1e-9)
        assert.ok(sumOf(noisy.map((value, i) => Math.abs(value - (given[i] ?? 0)))) <= most + 1e-9)
        assert.ok(noisy.every((value) => value >= 0))
      }),
      { ...seed, numRuns: 500 },
    )
  })

  it('is the same for the same seed, and another for another', () => {
    const noisy = (drawn: readonly [number, number, number, number]) => {
      const given = Float64Array.from([0.7, 0.2, 0.1])
      addNoise(given, 0.1, drawn)
      return given
    }
    assert.deepEqual(noisy([1, 2, 3, 4]), noisy([1, 2, 3, 4]))
    assert.notDeepEqual(noisy([1, 2, 3, 4]), noisy([1, 2, 3, 5]))
    assert.ok(noisy([1, 2, 3, 4]).some((value, i) => Math.abs(value - ([0.7, 0.2, 0.1][i] ?? 0)) > 0.005))
  })

  it('leaves alone what are no probabilities', () => {
    for (const values of [
      [3, -1],
      [0.9, 0.9],
      [Number.NaN, 1],
    ]) {
      const given = Float64Array.from(values)
      addNoise(given, 0.1, [1, 2, 3, 4])
      assert.deepEqual(given, Float64Array.from(values))
    }
  })
})

describe('padding', () => {
  it('fills up to a multiple, and says the same', () => {
    const body = Buffer.from('{"a":[1,2]}')
    const padded = padJson(body, 64)
    assert.equal(padded.length, 64)
    assert.deepEqual(JSON.parse(padded.toString()), { a: [1, 2] })
    assert.equal(padJson(body, 0), body)
    assert.equal(padJson(padded, 64), padded)
  })

  it('stands before binary tensors, and counts to the JSON', () => {
    const padded = padInference({ body: Buffer.from('{}abcd'), jsonBytes: 2 }, 16)
    assert.deepEqual([padded.jsonBytes, Buffer.from(padded.body).toString()], [12, `{}${' '.repeat(10)}abcd`])
  })

  it('of events is a comment', () => {
    const padded = padEvents(Buffer.from('data: 1\n\n'), 32).toString()
    assert.equal(padded, `data: 1\n\n:${' '.repeat(20)}\n\n`)
    assert.equal(padEvents(Buffer.alloc(0), 32).length, 0)
  })
})

describe('alternatives of tokens', () => {
  const few: Hardener = { level: 'top-k', decimals: 1, k: 1 }

  it('are the likeliest k, in each of their forms', () => {
    const [a, b] = [
      { token: 'a', logprob: -2 },
      { token: 'b', logprob: -0.14 },
    ]
    const chat = { content: [{ ...a, top_logprobs: [a, b] }] }
    assert.deepEqual(hardenAnswer({ choices: [{ logprobs: chat }] }, few), {
      choices: [{ logprobs: { content: [{ ...a, top_logprobs: [{ ...b, logprob: -0.1 }] }] } }],
    })
    const completion = { tokens: ['a', 'b'], token_logprobs: [-2, -0.1], top_logprobs: [{ a: -2, b: -0.1 }, null] }
    assert.deepEqual(withAlternatives('logprobs', completion, 1), { ...completion, top_logprobs: [{ b: -0.1 }, null] })
    const prompt = [null, { '11': { logprob: -1, rank: 1 }, '12': { logprob: -3, rank: 2 } }]
    assert.deepEqual(withAlternatives('prompt_logprobs', prompt, 1), [null, { '11': { logprob: -1, rank: 1 } }])
  })

  it('are all there at `none`, whatever else is asked for', () => {
    const answer = { choices: [{ logprobs: { content: [] } }] }
    assert.equal(hardenAnswer(answer, { level: 'none', decimals: 0, k: 1, noise: 0.1 }), answer)
  })
})
