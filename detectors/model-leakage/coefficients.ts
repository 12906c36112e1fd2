// Made by `node test/lab/leakage.ts --write`: do not edit.

/** Of the logarithms of the odds, by feature of estimate.ts. */
export const coefficients: { readonly ordinary: readonly number[]; readonly odd: readonly number[] } = {
  ordinary: [-4.2661, 0.8367, 0.58874, -0.60781, -0.046982, -0.095457],
  odd: [-1.5679, 0.19679, -0.078979, 0.56303, -0.29319, -0.46599],
}
