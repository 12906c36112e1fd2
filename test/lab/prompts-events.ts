import type { PromptFingerprint } from '../../inference/prompt/fingerprint.ts'
import { type EventOf, plainCaller } from '../../schemas/index.ts'
import type { Ask } from './prompts-benign.ts'
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
