/** What a detector is told of the model's answer. */
export interface ReferenceAnswer {
  readonly label: number
  /** One a class, in 0..1, as the model gave them before any hardening. */
  readonly probabilities: Float32Array
}

/**
 * A published detector, written after its paper, on the same stream as ours. It sees what its paper lets it see: the
 * raw input, which ours never does. State is bounded; the same stream gives the same flags.
 */
export interface ReferenceDetector {
  readonly name: string
  /**
   * @param image values in 0..1, row-major; kept unchanged, and copied where it is remembered
   * @param at milliseconds, not decreasing
   * @returns the principals that this query makes it flag; one that was flagged may be named again
   */
  observe(principal: string, image: Float32Array, answer: ReferenceAnswer, at: number): readonly string[]
}
