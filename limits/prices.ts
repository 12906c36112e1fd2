import type { Usage } from './port.ts'

/** What a model's use costs, in one currency for all. */
export interface Price {
  readonly perItem: number
  readonly perTokenIn: number
  readonly perTokenOut: number
}

export interface Call {
  /** Inputs, or prompts. */
  readonly items: number
  /** Tensors have no tokens. */
  readonly generates: boolean
  /** Of all prompts, UTF-8. */
  readonly promptBytes: number
  /** Most tokens of each answer: what the request says, else what the model is configured with. */
  readonly maxTokens: number
  /** Answers to each prompt (`n`). Default 1. */
  readonly answers?: number
}

/**
 * The most that a call may take. No tokenizer of bytes or merged bytes makes more tokens than there are bytes (a byte-level
 * BPE starts from bytes and only merges), so the prompt is counted as its bytes, and a template's marks on top: what it
 * exceeds is given back when the answer is there.
 */
export function estimate(call: Call, { perItem, perTokenIn, perTokenOut }: Price): Usage {
  const { items, generates, promptBytes, maxTokens, answers = 1 } = call
  if (!generates) return { requests: items, tokens: 0, cost: items * perItem }
  const tokensIn = promptBytes + markTokens * items
  const tokensOut = maxTokens * answers * items
  return { requests: items, tokens: tokensIn + tokensOut, cost: tokensIn * perTokenIn + tokensOut * perTokenOut }
}

/** What a call took, as the price table says; nothing for what was not served. */
export function charge(
  took: { readonly items: number; readonly generates: boolean; readonly tokensIn: number; readonly tokensOut: number },
  { perItem, perTokenIn, perTokenOut }: Price,
): Usage {
  const { items, generates, tokensIn, tokensOut } = took
  const tokens = tokensIn + tokensOut
  return { requests: items, tokens, cost: generates ? tokensIn * perTokenIn + tokensOut * perTokenOut : items * perItem }
}

/** Of a chat template, around each prompt. */
const markTokens = 64
