import type { Random } from '../attacks/random.ts'
import { type Asked, anyAnswer, anyHash, anyPrompt, pause, promptOf, type Story, sampled } from './generations-events.ts'

function* times(count: number, of: (n: number) => Asked): Generator<Asked> {
  for (let n = 0; n < count; n++) yield of(n)
}

/** People: conversations that grow, refused now and then, asked again once or twice, or a few times by the stubborn. */
function* chat(random: Random): Generator<Asked> {
  const system = anyHash(random)
  for (let talk = 0; talk < 12; talk++) {
    const bytes = random.between(100, 3_000)
    for (let turn = 0; turn < 1 + random.below(8); turn++) {
      const prompt = { ...anyPrompt(random, bytes * (turn + 1)), system, messages: 2 + 2 * turn }
      const refuses = random.next() < 0.03
      const again = refuses ? Math.floor(-Math.log(1 - random.next()) / 1.1) : random.next() < 0.08 ? 1 : 0
      for (let i = 0; i <= again; i++)
        yield {
          after: pause(random),
          data: { ...prompt, ...sampled({}), ...anyAnswer(random, refuses ? 30 : 250, refuses && random.next() < 0.85) },
        }
    }
  }
}

/** An application with one key for many people: the stubborn of them all. */
function* application(random: Random): Generator<Asked> {
  for (let n = 0; n < 6; n++) for (const { data } of chat(random)) yield { after: 500 + random.below(4_000), data }
}

/** One template, other fields: at temperature 0 mostly, thousands at a steady pace. */
function* batch(random: Random): Generator<Asked> {
  const system = anyHash(random)
  const [temperature, bytes, tokens, refuses] = [
    random.pick([0, 0, 0, 0.2, 1]),
    random.between(200, 4_000),
    random.between(5, 600),
    random.next() ** 3 * 0.3,
  ]
  yield* times(600, () => ({
    after: random.between(80, 400),
    data: {
      ...anyPrompt(random, bytes),
      system,
      messages: 2,
      ...sampled({ temperature }),
      ...anyAnswer(random, tokens, random.next() < refuses),
    },
  }))
}

/** lm-eval: other prompts, log probabilities of a token or a few, no bias; four continuations to each question. */
function* harness(random: Random): Generator<Asked> {
  const topLogprobs = random.pick([1, 5, 20])
  const maxTokens = random.pick([1, 1, 2, 16])
  yield* times(600, () => ({
    after: random.between(20, 200),
    data: {
      operation: 'completion',
      ...anyPrompt(random, 900),
      ...sampled({ temperature: 0, maxTokens, topLogprobs }),
      ...anyAnswer(random, 1),
    },
  }))
}

/** Self-consistency and pass@k: many answers each to different problems. */
function* selfConsistency(random: Random): Generator<Asked> {
  const choices = random.pick([5, 8, 20, 40])
  const asksEach = random.next() < 0.5
  for (let problem = 0; problem < 20; problem++) {
    const prompt = anyPrompt(random, 700)
    yield* times(asksEach ? choices : 1, () => ({
      after: random.between(100, 4_000),
      data: { ...prompt, ...sampled({ temperature: 0.7, choices: asksEach ? 1 : choices }), ...anyAnswer(random, 300) },
    }))
  }
}

/** The same prompt for ever, at any temperature; a few answers read as refusals whatever they are. */
function* loadTest(random: Random): Generator<Asked> {
  const prompts = Array.from({ length: random.pick([1, 1, 3, 10]) }, () => anyPrompt(random, random.pick([20, 200, 2_000])))
  const temperature = random.pick([0, 0.7, 1])
  const same = anyAnswer(random, 100)
  yield* times(500, () => ({
    after: random.between(5, 60),
    data: {
      ...random.pick(prompts),
      ...sampled({ temperature }),
      ...(temperature === 0 ? same : anyAnswer(random, 100, random.next() < 0.02)),
    },
  }))
}

/** A word every half minute; the answer is always about the same. */
function* healthCheck(random: Random): Generator<Asked> {
  const prompt = { ...anyPrompt(random, 10), bytes: 4 + random.below(12) }
  const temperature = random.pick([0, 1])
  const answers = Array.from({ length: temperature === 0 ? 1 : 6 }, () => anyAnswer(random, 5))
  yield* times(500, () => ({ after: 30_000, data: { ...prompt, ...sampled({ temperature, maxTokens: 8 }), ...random.pick(answers) } }))
}

/** An application whose framework asks again where an answer was no good, up to twice. */
function* retries(random: Random): Generator<Asked> {
  for (let n = 0; n < 200; n++) {
    const prompt = anyPrompt(random, 800)
    const refused = random.next() < 0.04
    const tries = refused ? 3 : random.next() < 0.1 ? 2 : 1
    yield* times(tries, () => ({
      after: random.between(500, 4_000),
      data: { ...prompt, ...sampled({}), ...anyAnswer(random, 150, refused) },
    }))
  }
}

/** Agents: conversations that grow by calls of tools, at a machine's pace. */
function* agent(random: Random): Generator<Asked> {
  const system = anyHash(random)
  for (let task = 0; task < 15; task++)
    yield* times(5 + random.below(25), (step) => ({
      after: random.between(800, 6_000),
      data: {
        ...anyPrompt(random, 3_000 + 700 * step),
        system,
        messages: 3 + 2 * step,
        ...sampled({ temperature: 0.2 }),
        ...anyAnswer(random, 80, random.next() < 0.01),
      },
    }))
}

/** Classifiers: one map of biases over all prompts, or one for each of a few tasks; one token, sometimes with probabilities. */
function* classifier(random: Random): Generator<Asked> {
  const maps = Array.from({ length: random.pick([1, 1, 2, 5]) }, () => ({
    tokens: 2 + random.below(8),
    largest: 100,
    hash: anyHash(random),
  }))
  const topLogprobs = random.pick([0, 2, 5])
  const repeats = Array.from({ length: 5 }, () => anyPrompt(random, 300))
  yield* times(500, () => {
    const prompt = random.next() < 0.1 ? random.pick(repeats) : anyPrompt(random, 300)
    return {
      after: random.between(50, 500),
      data: { ...prompt, ...sampled({ temperature: 0, maxTokens: 1, topLogprobs, logitBias: random.pick(maps) }), ...anyAnswer(random, 1) },
    }
  })
}

/** Multiple choice with labels of each question's own: other maps, each on its own prompt. */
function* multipleChoice(random: Random): Generator<Asked> {
  yield* times(400, () => ({
    after: random.between(50, 500),
    data: {
      ...anyPrompt(random, 500),
      ...sampled({ temperature: 0, maxTokens: 1, topLogprobs: 5, logitBias: { tokens: 4, largest: 100, hash: anyHash(random) } }),
      ...anyAnswer(random, 1),
    },
  }))
}

/** A person at a playground: a few settings and biases on one prompt, then another. */
function* playground(random: Random): Generator<Asked> {
  for (let n = 0; n < 15; n++) {
    const prompt = anyPrompt(random, 400)
    const biased = random.next() < 0.2
    yield* times(1 + Math.floor(-Math.log(1 - random.next()) * 2), () => {
      const logitBias = biased ? { tokens: 1, largest: random.pick([-100, -5, 1, 5, 10, 100].map(Math.abs)), hash: anyHash(random) } : null
      const sampling = { temperature: random.pick([0, 0.3, 0.7, 1, 1.2]), topP: random.pick([null, 0.9, 1]), logitBias }
      return { after: pause(random), data: { ...prompt, ...sampled(sampling), ...anyAnswer(random, 250, random.next() < 0.02) } }
    })
  }
}

/** A developer's grid of settings over a set of prompts. */
function* grid(random: Random): Generator<Asked> {
  const temperatures = random.pick([3, 5, 11])
  for (let n = 0; n < 12; n++) {
    const prompt = anyPrompt(random, 600)
    yield* times(temperatures, (t) => ({
      after: random.between(300, 3_000),
      data: { ...prompt, ...sampled({ temperature: t / temperatures }), ...anyAnswer(random, 250, random.next() < 0.02) },
    }))
  }
}

/** Answers from documents: "there is nothing about that here" reads as a refusal, for a third of the questions and more after an outage. */
function* documents(random: Random): Generator<Asked> {
  const system = anyHash(random)
  yield* times(300, (n) => ({
    after: pause(random),
    data: {
      ...anyPrompt(random, 5_000),
      system,
      messages: 2,
      ...sampled({ temperature: 0.3 }),
      ...anyAnswer(random, 80, random.next() < (n > 200 && n < 240 ? 0.9 : 0.2)),
    },
  }))
}

const levels = ['INFO', 'WARN', 'DEBUG']
const cells = ['0', '0', '0', '1', '-', 'n/a']

/** Texts that repeat themselves: logs, tables of zeros, rules drawn with dashes; real fingerprints. */
function* repetitive(random: Random): Generator<Asked> {
  for (let n = 0; n < 25; n++) {
    const lines = Array.from({ length: 12 + random.below(30) }, (_, i) => {
      if (n % 3 === 0)
        return `2026-01-05T10:${10 + random.below(49)}:${10 + random.below(49)}Z ${random.pick(levels)} request ${random.below(1e6)} served in ${random.below(900)} ms`
      if (n % 3 === 1) return Array.from({ length: 10 }, () => random.pick(cells)).join(',')
      return i % 4 === 0 ? '-'.repeat(60) : `| item ${random.below(1_000)} | ${random.below(100)} | ok |`
    })
    yield {
      after: random.between(500, 5_000),
      data: { ...promptOf(`Summarise this:\n${lines.join('\n')}`), ...sampled({ temperature: 0 }), ...anyAnswer(random, 250) },
    }
  }
}

/** An application for many people that always asks for probabilities, to colour what the model doubts. */
function* doubtful(random: Random): Generator<Asked> {
  const system = anyHash(random)
  yield* times(600, () => {
    const turn = random.below(8)
    return {
      after: pause(random) / 5,
      data: {
        ...anyPrompt(random, 300 * (turn + 1)),
        system,
        messages: 2 + 2 * turn,
        ...sampled({ topLogprobs: 5 }),
        ...anyAnswer(random, 250),
      },
    }
  })
}

/** Rewriting short texts: answers as long as what was asked. */
function* rewriting(random: Random): Generator<Asked> {
  const system = anyHash(random)
  yield* times(300, () => {
    const prompt = anyPrompt(random, 500)
    return {
      after: random.between(500, 9_000),
      data: {
        ...prompt,
        system,
        messages: 2,
        ...sampled({}),
        ...anyAnswer(random, 100),
        tokensOut: Math.ceil((prompt.tokensIn ?? 1) * random.between(0.7, 1.1)),
      },
    }
  })
}

/** A job by the clock: the same few prompts each time, one of which is always refused. */
function* scheduled(random: Random): Generator<Asked> {
  const every = random.pick([5, 10, 15, 30, 60]) * 60_000
  const prompts = Array.from({ length: 1 + random.below(4) }, () => anyPrompt(random, 400))
  for (let n = 0; n < 100; n++) {
    for (const [at, prompt] of prompts.entries())
      yield {
        after: at === 0 ? every * random.between(0.9, 1.1) : 2_000,
        data: { ...prompt, ...sampled({}), ...anyAnswer(random, 100, at === 0) },
      }
  }
}

export const benign: readonly Story[] = [
  { name: 'scheduled', asks: scheduled },
  { name: 'people', asks: chat },
  { name: 'application', asks: application },
  { name: 'batch jobs', asks: batch },
  { name: 'evaluation harness', asks: harness },
  { name: 'self-consistency', asks: selfConsistency },
  { name: 'load tests', asks: loadTest },
  { name: 'health checks', asks: healthCheck },
  { name: 'retries', asks: retries },
  { name: 'agents', asks: agent },
  { name: 'classifiers with a bias', asks: classifier },
  { name: 'multiple choice, a bias each', asks: multipleChoice },
  { name: 'playground', asks: playground },
  { name: 'grids of settings', asks: grid },
  { name: 'answers from documents', asks: documents },
  { name: 'texts that repeat themselves', asks: repetitive },
  { name: 'probabilities always', asks: doubtful },
  { name: 'rewriting', asks: rewriting },
]
