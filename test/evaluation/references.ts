import { loadMnist, pixels } from '../../inference/datasets/mnist.ts'
import type { ReferenceDetector } from '../reference/port.ts'
import { referenceDetectors } from '../reference/reference-detectors.ts'

const known = 1_000
let ordinary: readonly Float32Array[] | undefined

/** Published detectors, fresh: each keeps what it sees. What they know beforehand are training images, of neither split. */
export function openReferences(): readonly ReferenceDetector[] {
  if (ordinary === undefined) {
    const { images } = loadMnist('train')
    ordinary = Array.from({ length: known }, (_, i) => images.slice(i * pixels, (i + 1) * pixels))
  }
  return referenceDetectors(ordinary)
}
