import { openPromptFingerprinter, type PromptFingerprint } from '../../inference/prompt/fingerprint.ts'
import { type EventOf, plainCaller } from '../../schemas/index.ts'
import type { Random } from '../attacks/random.ts'
import type { Ask, Job } from './prompts-jobs.ts'
import type { PromptTexts } from './prompts-texts.ts'
import { eventOf } from './stream.ts'

/** The event of one prompt of a job, as a node makes it. */
export function promptEvent(at: number, n: number, principal: string, ask: Ask, fingerprint: PromptFingerprint): EventOf<'prompt'> {
  const event = eventOf('prompt', at, n, {
    request: `01900000-0000-7000-8000-${n.toString(16).padStart(12, '0')}`,
    principal,
    organization: null,
    keyId: null,
    ...plainCaller,
    model: 'm',
    version: '1',
    node: 'lab',
    operation: 'chat',
    outcome: 'served',
    ...fingerprint,
    tokensIn: fingerprint.bytes >>> 2,
    tokensOut: 100,
    finishReasons: ['stop'],
    sampling: {
      temperature: ask.temperature ?? null,
      topP: null,
      maxTokens: null,
      choices: 1,
      topLogprobs: 0,
      logitBias: null,
    },
    refused: ask.refused ?? null,
    answer: ask.answer ?? null,
    canaries: [],
  })
  return event
}

const start = Date.UTC(2026, 0, 5)

/** How a job meets a model. */
export interface Setting {
  readonly texts: PromptTexts
  /** The byte that the fingerprint key is made of. */
  readonly key: number
  /** Ordinary prompts before the first of the job; later one for every two of the job. */
  readonly ordinaryAtFirst: number
  /** Accounts that the job's prompts are sent by in turn. */
  readonly accounts: number
}

/** The prompts that a model gets: a job's among ordinary ones. `asked` counts those of the job; 0 is none of its. */
export function* jobEvents(job: Job, random: Random, setting: Setting): Generator<{ event: EventOf<'prompt'>; asked: number }> {
  const { texts } = setting
  let now = start
  const fingerprinter = openPromptFingerprinter({ key: new Uint8Array(32).fill(setting.key), epoch: 1, now: () => now })
  let n = 0
  const sent = (ask: Ask, principal: string) => {
    now += ask.after ?? 500
    return promptEvent(now, n++, principal, ask, fingerprinter.fingerprint('m', ask.messages, principal))
  }
  const ordinary = () => ({
    event: sent({ messages: [{ role: 'user', text: random.pick(texts.ordinary) }] }, `o${random.below(200)}`),
    asked: 0,
  })
  for (let i = 0; i < setting.ordinaryAtFirst; i++) yield ordinary()
  for (const [i, ask] of job(texts, random).entries()) {
    if (i % 2 === 1) yield ordinary()
    yield { event: sent(ask, `a${i % setting.accounts}`), asked: i + 1 }
  }
}
