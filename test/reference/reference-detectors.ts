import { blacklight } from './blacklight.ts'
import { deltaCosine } from './delta-cosine.ts'
import { windowedMmd } from './mmd.ts'
import type { ReferenceDetector } from './port.ts'
import { prada } from './prada.ts'
import { seatLike } from './seat.ts'

/** All of them, knowing nothing yet but ordinary images; 1,000 are enough. */
export function referenceDetectors(reference: readonly Float32Array[]): readonly ReferenceDetector[] {
  return [
    blacklight(),
    prada(),
    deltaCosine({ reference, window: 64 }),
    deltaCosine({ reference, window: 24 }),
    windowedMmd({ reference }),
    seatLike({ reference }),
  ]
}
