import { unit } from './hopskipjump.ts'
import { type Attempt, step } from './oracle.ts'

/** The boundary's normal at a point of it, from the labels of `count` probes at L2 distance `sigma`; unit length. */
export async function normalAt(
  attempt: Attempt,
  at: Float32Array,
  direction: () => Float32Array,
  count: number,
  sigma: number,
): Promise<Float32Array> {
  const total = new Float32Array(at.length)
  for (let k = 0; k < count; k++) {
    const probe = direction()
    const sign = (await attempt.fools(step(at, probe, sigma))) ? 1 : -1
    for (let i = 0; i < total.length; i++) total[i] = (total[i] ?? 0) + sign * (probe[i] ?? 0)
  }
  return unit(total)
}
