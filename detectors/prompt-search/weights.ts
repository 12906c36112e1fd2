// Made by test/lab/prompts-fit.ts --runs 12 --seed 500000 --steps 1500 --write; do not edit.
// One weight for each of `featureNames`, nats, for a threshold of 7: the weights under which attacks of all families
// are seen soonest while no honest job of any kind comes nearer than four fifths of the way.
export const searchWeights: readonly number[] = [-0.98, 2.647, 1.459, -0.531, 0.073, -1.171, -0.879, -1.358, 2.015, -2.046, 3.849, 2.666]
