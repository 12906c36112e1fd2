import { json, literals } from './grammar.ts'
import { anyButNewline, anyCharacter, type Constraint, type Option } from './options.ts'
import type { Shape } from './schema.ts'
import { newlineToken } from './vocabulary.ts'

export interface Callable {
  readonly name: string
  readonly shape: Shape
}

/** What an answer is to be: text without end, a line, JSON, or a call of one of several functions. */
export type Plan =
  | { readonly kind: 'text' }
  | { readonly kind: 'line' }
  | { readonly kind: 'json'; readonly shape: Shape }
  | { readonly kind: 'call'; readonly functions: readonly Callable[] }

const orEnd: readonly Option[] = anyCharacter.map((option) => (option.token === newlineToken ? { ...option, text: '' } : option))

/** @returns what `Choice` takes for a plan */
export function constraintsOf(plan: Plan): {
  readonly constraint: Constraint
  readonly argumentsOf: ((name: string) => Constraint) | null
} {
  if (plan.kind === 'text') return { constraint: text(), argumentsOf: null }
  if (plan.kind === 'line') return { constraint: line(), argumentsOf: null }
  if (plan.kind === 'json') return { constraint: json(plan.shape), argumentsOf: null }
  const shapes = new Map(plan.functions.map(({ name, shape }) => [name, shape]))
  const argumentsOf = (name: string) => json(shapes.get(name) ?? { kind: 'object', members: [] })
  return { constraint: literals([...shapes.keys()]), argumentsOf }
}

function* text(): Constraint {
  for (;;) yield anyCharacter
}

function* line(): Constraint {
  yield anyButNewline
  for (;;) {
    const { token } = yield orEnd
    if (token === newlineToken) return
  }
}
