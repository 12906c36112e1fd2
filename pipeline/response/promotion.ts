import { CordonError, type Model, type Order } from '../../schemas/index.ts'

export type Promotion = Omit<Extract<Order, { kind: 'promote-model' }>, 'kind'>

export class PromotionError extends CordonError<'MODEL_NOT_FOUND' | 'VERSION_NOT_FOUND' | 'VERSION_NOT_GOOD'> {}

/**
 * The model with another current version. Pure; done again, it changes nothing.
 *
 * @throws PromotionError where nobody serves that version, or it is not good
 */
export function promoted(known: Model | undefined, { model, version, good }: Promotion): Model {
  if (known === undefined) throw new PromotionError('MODEL_NOT_FOUND', `No node says that it serves a model ${model}.`)
  const found = known.versions.find((one) => one.version === version)
  if (found === undefined) {
    const there = known.versions.map((one) => one.version).join(', ')
    throw new PromotionError('VERSION_NOT_FOUND', `No node says that it has version ${version} of ${model}; there are ${there}.`)
  }
  if (!found.good && !good)
    throw new PromotionError('VERSION_NOT_GOOD', `Version ${version} of ${model} is not marked good: check it, and say so with --good.`)
  return { ...known, current: version, versions: known.versions.map((one) => (one === found ? { ...one, good: true } : one)) }
}
