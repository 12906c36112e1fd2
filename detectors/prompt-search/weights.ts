// Made by test/lab/prompts-fit.ts --runs 12 --seed 500000 --steps 5000 --write; do not edit.
// One weight for each of `featureNames`, nats, for a threshold of 7: the weights under which attacks of all families
// are seen soonest while no honest job of any kind comes nearer than four fifths of the way.
export const searchWeights: readonly number[] = [3.899, 5.17, -2.023, -0.881]
