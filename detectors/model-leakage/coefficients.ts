// Made by `node test/lab/leakage.ts --write`: do not edit.

/** Of the logarithms of the odds, by feature of estimate.ts. */
export const coefficients: { readonly ordinary: readonly number[]; readonly odd: readonly number[] } = {
  ordinary: [-3.0532, 0.68392, 1.2575, -0.51592, -0.19706, -0.31346],
  odd: [-3.3019, 0.21503, -0.14999, 0.41854, -0.094178, -0.22705],
}
