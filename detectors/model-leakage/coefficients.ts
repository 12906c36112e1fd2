// Made by `node test/lab/leakage.ts --write`: do not edit.

/** Of the logarithms of the odds, by feature of estimate.ts. */
export const coefficients: { readonly ordinary: readonly number[]; readonly odd: readonly number[] } = {
  ordinary: [-4.2608, 0.39089, 0.43784, 1.079, -1.2114, 0.010234, -0.058471],
  odd: [-2.2775, 0.28767, 0.60274, 0.98526, -0.43911, -0.7202],
}

/** Of estimates of what was not fitted on, one of twenty is this much too high (`below`), and one this much too low. */
export const errors: { readonly [kind in 'few' | 'many' | 'swept' | 'odd']: { readonly below: number; readonly above: number } } = {
  few: { below: 0.176, above: 0.238 },
  many: { below: 0.057, above: 0.079 },
  swept: { below: 0.217, above: 0.218 },
  odd: { below: 0.171, above: 0.18 },
}
