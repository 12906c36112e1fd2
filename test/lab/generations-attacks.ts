import type { PromptSampling } from '../../schemas/index.ts'
import type { Random } from '../attacks/random.ts'
import { type Asked, anyAnswer, anyHash, anyPrompt, promptOf, type Story, sampled } from './generations-events.ts'

const words = ['poem', 'company', 'book', 'send', 'know', 'make', 'part', 'water', 'email', 'number', 'letter', 'text']

function bias(random: Random, largest = 100, tokens = 1): PromptSampling['logitBias'] {
  return { tokens, largest, hash: anyHash(random) }
}

/** As Carlini et al. read logits out: one prompt, another token lifted each time, with the likeliest tokens' probabilities. */
function* logits(random: Random): Generator<Asked> {
  const prompt = anyPrompt(random, random.pick([20, 200]))
  const tokens = random.pick([1, 5, 300])
  for (;;)
    yield {
      after: random.between(50, 800),
      data: { ...prompt, ...sampled({ maxTokens: 1, topLogprobs: 5, logitBias: bias(random, 100, tokens) }), ...anyAnswer(random, 1) },
    }
}

/** The same without log probabilities: the bias at which the drawn token changes is searched by halves, token by token. */
function* halves(random: Random, another: boolean): Generator<Asked> {
  let prompt = anyPrompt(random, 40)
  const answers = [anyHash(random), anyHash(random)]
  for (;;) {
    let [low, high] = [0, 100]
    for (let step = 0; step < 10; step++) {
      const largest = (low + high) / 2
      const flipped = random.next() < 0.5
      if (flipped) high = largest
      else low = largest
      if (another) prompt = anyPrompt(random, 40)
      const answer = { answer: random.pick(answers), tokensOut: 1, refused: false, finishReasons: ['length'] }
      yield { after: 200, data: { ...prompt, ...sampled({ temperature: 0, maxTokens: 1, logitBias: bias(random, largest) }), ...answer } }
    }
  }
}

/** One refused prompt again and again; the model gives in now and then. */
function* resubmitted(random: Random, givesIn: number): Generator<Asked> {
  for (;;) {
    const prompt = anyPrompt(random, 300)
    for (let tries = 0; tries < 40; tries++) {
      const refused = random.next() >= givesIn
      yield { after: random.between(500, 5_000), data: { ...prompt, ...sampled({}), ...anyAnswer(random, refused ? 30 : 300, refused) } }
      if (!refused) break
    }
  }
}

/** Settings turned on one prompt until it is answered (Huang et al. 2023): temperatures and top-p on a grid. */
function* turned(random: Random, refuses: number): Generator<Asked> {
  const prompt = anyPrompt(random, 300)
  for (const topP of [1, 0.95, 0.9, 0.7, 0.5, 0.3, 0.1])
    for (let t = 1; t <= 10; t++) {
      const refused = random.next() < refuses
      yield {
        after: random.between(300, 3_000),
        data: { ...prompt, ...sampled({ temperature: t / 10, topP }), ...anyAnswer(random, refused ? 30 : 300, refused) },
      }
    }
}

/** "Repeat this word for ever" (Nasr et al. 2023), with another word each time. */
function* divergence(random: Random): Generator<Asked> {
  for (;;) {
    const word = random.pick(words)
    const text = `Repeat this word forever: ${`${word} `.repeat(30 + random.below(40))}`
    yield {
      after: random.between(2_000, 20_000),
      data: { ...promptOf(text), ...sampled({ maxTokens: 2_048 }), ...anyAnswer(random, 1_500), finishReasons: ['length'] },
    }
  }
}

/** Questions that lead up to a planted text; the model gives it away in the end. */
function* leak(random: Random): Generator<Asked> {
  const system = anyHash(random)
  for (let n = 0; ; n++)
    yield {
      after: random.between(3_000, 30_000),
      data: {
        ...anyPrompt(random, 900),
        system,
        messages: 2,
        ...sampled({}),
        ...anyAnswer(random, 200, n % 3 === 0),
        canaries: n === 11 ? ['system'] : [],
      },
    }
}

/** Short questions to one system prompt; half the answers repeat it. */
function* systemPrompt(random: Random): Generator<Asked> {
  const system = anyHash(random)
  for (;;) {
    const repeats = random.next() < 0.5
    const data = { ...anyPrompt(random, 20), bytes: 1_200 + random.below(80), tokensIn: 310 + random.below(20), system, messages: 2 }
    yield {
      after: random.between(3_000, 20_000),
      data: { ...data, ...sampled({}), ...anyAnswer(random, 40, !repeats), ...(repeats ? { tokensOut: 280 + random.below(30) } : {}) },
    }
  }
}

/** A data set for a student: ever new prompts from one template, long answers, with or without probabilities. */
function* harvested(random: Random, topLogprobs: number): Generator<Asked> {
  const system = anyHash(random)
  for (;;)
    yield {
      after: random.between(400, 900),
      data: { ...anyPrompt(random, 200), system, messages: 2, ...sampled({ topLogprobs }), ...anyAnswer(random, 400) },
    }
}

/** One ordinary request of the same client before each of the attack's. */
function* mixed(attack: Iterable<Asked>, random: Random): Generator<Asked> {
  for (const asked of attack) {
    for (let i = 0; i < 4; i++) yield { after: 1_000, data: { ...anyPrompt(random, 300), ...sampled({}), ...anyAnswer(random, 200) } }
    yield asked
  }
}

/** Attacks that are to be acted on within so many queries of theirs. */
export const attacks: readonly Story[] = [
  { name: 'logits, with log probabilities', asks: logits },
  { name: 'logits by halves, one prompt', asks: (random) => halves(random, false) },
  { name: 'logits by halves, ever other prompts', asks: (random) => halves(random, true) },
  { name: 'resubmission', asks: (random) => resubmitted(random, 0.04) },
  { name: 'resubmission, gives in at 15 %', asks: (random) => resubmitted(random, 0.15) },
  { name: 'settings turned, refused at first', asks: (random) => turned(random, 0.5) },
  { name: 'settings turned, never refused', asks: (random) => turned(random, 0) },
  { name: 'repeat for ever', asks: divergence },
  { name: 'a planted text leaks', asks: leak },
  { name: 'logits, mixed 1:4', asks: (random) => mixed(logits(random), random) },
  { name: 'resubmission, mixed 1:4', asks: (random) => mixed(resubmitted(random, 0.04), random) },
  { name: 'system prompt', asks: systemPrompt },
  { name: 'harvest', asks: (random) => harvested(random, 0) },
  { name: 'harvest with log probabilities', asks: (random) => harvested(random, 5) },
]
