import { characterOf, newlineToken, vocabularySize } from './vocabulary.ts'

/** One way on: what is written, whose logit weighs it, and what the model sees of it. */
export interface Option {
  /** Empty where a decision writes nothing, such as that a number ends. */
  readonly text: string
  readonly token: number
  /** Null where the model sees nothing of it. */
  readonly seen: number | null
}

/** Yields the ways on, is told which was taken, and is done when the text is whole. One way alone needs no model. */
export type Constraint = Generator<readonly Option[], void, Option>

/** Every character that the model writes. */
export const anyCharacter: readonly Option[] = Array.from({ length: vocabularySize - 1 }, (_, i) => written(i + 1))

/** Without the newline: what a line begins with. */
export const anyButNewline: readonly Option[] = anyCharacter.filter(({ token }) => token !== newlineToken)

export function written(token: number): Option {
  return { text: characterOf(token), token, seen: token }
}
