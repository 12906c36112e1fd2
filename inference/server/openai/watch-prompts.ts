import type { TextConfiguration } from '../../configuration.ts'
import type { Exchange, Verdict } from '../exchange.ts'
import { type AnswerExamination, AnswerReader } from './answer-reader.ts'
import { canaryForms } from './canary-forms.ts'
import type { OpenaiParts } from './parts.ts'
import { PhraseSearch } from './phrase-search.ts'
import { promptSampling } from './prompt-sampling.ts'
import { promptTexts } from './prompt-texts.ts'
import type { TextRequest } from './read-request.ts'
import { commonRefusals, openRefusalJudge } from './refusals.ts'

const unseen: Verdict = { refused: null, answer: null, canaries: [] }

/**
 * Fingerprints the prompts that a model was just asked, whatever becomes of them: who provokes failures is seen, too. What fails
 * here costs no answer.
 *
 * @returns what reads the answer along; undefined where nobody looks at it
 */
export function watchPrompts(parts: OpenaiParts, exchange: Exchange, asked: TextRequest): AnswerReader | undefined {
  const { prompts, configurationOf, metrics, log } = parts
  const { model, principal } = exchange
  if (prompts === undefined || model === null) return undefined
  const { text: bounds } = configurationOf(model)
  if (!bounds.fingerprintPrompts) return undefined
  try {
    const hashOf = (text: string) => prompts.hashOf(text)
    const fingerprints = promptTexts(asked.json, asked.operation, hashOf).map((texts) => prompts.fingerprint(model, texts, principal))
    const reader =
      asked.sampling !== null && bounds.examineAnswers ? new AnswerReader(examinationOf(bounds), asked.items, hashOf) : undefined
    // Servers number the answers to several prompts through: those to the first, those to the second.
    const each = Math.max(1, Math.round(asked.items / fingerprints.length))
    exchange.prompts = {
      fingerprints,
      sampling: promptSampling(asked, fingerprints.length, hashOf),
      verdictOf: (prompt) =>
        reader?.verdictOf([prompt * each, prompt === fingerprints.length - 1 ? asked.items : (prompt + 1) * each]) ?? unseen,
    }
    return reader
  } catch (error) {
    metrics.fingerprintFailed()
    // Its message might tell of the prompt.
    log.error({ error: error instanceof Error ? error.name : typeof error, model }, 'node: a prompt left no fingerprint')
    return undefined
  }
}

/** By configuration, of which there are as many as models are configured: a search is built once. */
const examinations = new WeakMap<TextConfiguration, AnswerExamination>()

/** What a model's answers are looked at for, by its configuration. */
export function examinationOf(bounds: TextConfiguration): AnswerExamination {
  const known = examinations.get(bounds)
  if (known !== undefined) return known
  const { canaries, refusals } = bounds
  const forms = canaries.flatMap(({ name, text }) => canaryForms(text).map((form) => ({ name, form })))
  const examination: AnswerExamination = {
    refuses: openRefusalJudge(refusals ?? commonRefusals),
    canaries: forms.length === 0 ? undefined : new PhraseSearch(forms.map(({ form }) => form)),
    names: forms.map(({ name }) => name),
  }
  examinations.set(bounds, examination)
  return examination
}
