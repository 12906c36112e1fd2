import type { Exchange } from '../exchange.ts'
import type { Tally } from './answer-tap.ts'

/** Writes down what is known of an answer so far: its client may leave at any moment. */
export function note(exchange: Exchange, { tokensIn, tokensOut, tokenCount, finishReasons, toolCalls, firstAt }: Tally): void {
  if (exchange.recorded) return
  exchange.tokensIn = tokensIn
  exchange.tokensOut = tokensOut
  exchange.tokenCount = tokenCount
  exchange.finishReasons = finishReasons
  exchange.toolCalls = toolCalls
  exchange.firstTokenMs = firstAt === null ? null : Math.max(0, firstAt - exchange.startedAt)
}
