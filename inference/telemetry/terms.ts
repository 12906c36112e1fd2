import type { Operation } from '../../schemas/index.ts'
import type { Exchange } from '../server/exchange.ts'

/** `gen_ai.operation.name`; the conventions have no word for a model of tensors. */
const operationNames = {
  infer: 'infer',
  chat: 'chat',
  completion: 'text_completion',
  embedding: 'embeddings',
} as const satisfies Record<Operation, string>

export type OperationName = (typeof operationNames)[Operation]

/** `gen_ai.provider.name`: whoever answers the client, wherever the model runs. */
export const provider = 'cordon'

export function operationNameOf({ operation }: Exchange): OperationName {
  return operationNames[operation]
}

/** What a client calls a model may be anything, and goes nowhere unless it is the name of one that is served. */
export function modelNameOf({ model }: Exchange, models: ReadonlySet<string>): string {
  return model !== null && models.has(model) ? model : 'unknown'
}

/** `error.type`: how the request ended, in the words of its event; undefined where it was answered. */
export function errorTypeOf({ outcome }: Exchange): string | undefined {
  return outcome === 'served' ? undefined : outcome
}
