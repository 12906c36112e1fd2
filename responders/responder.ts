import { z } from 'zod'
import type { Parameters, Target, TargetKind } from '../schemas/index.ts'
import type { ResponderDefinition } from './contract.ts'

/** The longest a single lease may be asked for: 24 h. Longer containment is a person's decision, taken daily. */
export const maxDurationMs = 24 * 60 * 60 * 1_000

export const DurationMs = z.int().min(1_000).max(maxDurationMs)

/** A responder that contains by a lease: what the worker, the console and the documentation need beyond the contract. */
export interface ContainmentResponder<P extends z.ZodType = z.ZodType> extends ResponderDefinition<P> {
  /** The kinds of target that a person may point it at; `plan` picks from the incident by itself. */
  readonly targets: readonly TargetKind[]
  /** True where acting again has a further effect: such an action is done once an incident, and never renewed. */
  readonly once: boolean
  readonly example: { readonly target: Target; readonly parameters: Parameters }
  /** The stronger of two settings, member by member: a re-grant never weakens. */
  strongest(held: Parameters, asked: Parameters): Parameters
}

/** Types a definition; parameters infer. */
export function defineResponder<P extends z.ZodType>(definition: ContainmentResponder<P>): ContainmentResponder<P> {
  return definition
}

/** For responders without degrees, where what is asked for last stands. */
export function latest(_held: Parameters, asked: Parameters): Parameters {
  return asked
}

/** A number of a lease's parameters, or `otherwise` where it is missing or no number. */
export function numberOf(parameters: Parameters, name: string, otherwise: number): number {
  const value = parameters[name]
  return typeof value === 'number' ? value : otherwise
}
