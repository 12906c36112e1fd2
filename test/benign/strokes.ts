import type { Random } from '../attacks/random.ts'
import { side } from './image.ts'

/**
 * The states of a drawing canvas while a digit is drawn: ink appears along the figure, `chunk` pixels between
 * two requests, beginning at one end. Not pen strokes as recorded, but sparse, monotone and connected as they are.
 */
export function drawnSteps(image: Float32Array, frames: number, random: Random): Float32Array[] {
  const order = inkOrder(image, random)
  const canvas = new Float32Array(image.length)
  const states: Float32Array[] = []
  let drawn = 0
  for (let frame = 1; frame <= frames; frame++) {
    const until = Math.round((frame / frames) * order.length)
    for (; drawn < until; drawn++) {
      const at = order[drawn] ?? 0
      canvas[at] = image[at] ?? 0
    }
    states.push(canvas.slice())
  }
  return states
}

/** Ink pixels by breadth-first distance from an end of the figure. */
function inkOrder(image: Float32Array, random: Random): number[] {
  const ink = [...image.keys()].filter((i) => (image[i] ?? 0) > 0)
  const seen = new Set<number>()
  const order: number[] = []
  const starts = [...(random.next() < 0.7 ? ink : ink.toReversed())]
  for (const start of starts) {
    if (seen.has(start)) continue
    const queue = [start]
    seen.add(start)
    while (queue.length > 0) {
      const at = queue.shift() ?? 0
      order.push(at)
      for (const next of neighbours(at)) {
        if (seen.has(next) || (image[next] ?? 0) === 0) continue
        seen.add(next)
        queue.push(next)
      }
    }
  }
  return order
}

function neighbours(at: number): number[] {
  const row = Math.floor(at / side)
  const column = at % side
  const found: number[] = []
  for (let r = row - 1; r <= row + 1; r++)
    for (let c = column - 1; c <= column + 1; c++)
      if (r >= 0 && c >= 0 && r < side && c < side && r * side + c !== at) found.push(r * side + c)
  return found
}
