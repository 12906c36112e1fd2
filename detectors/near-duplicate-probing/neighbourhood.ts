import type { Evidence } from '../../schemas/index.ts'
import { sketchDistance } from '../statistics/sketch.ts'
import type { Seen } from './point.ts'

/** Members that say where the search is now. */
const newest = 16
/** Beyond the farthest of them, since the next query is not among them. */
const margin = 1.25
/** Of the distance from the nearest reference input to the middle: ordinary inputs lie no nearer. */
const mostOfReference = 0.5

/**
 * Where a cluster lies, for who is to keep others out of it: `profile` and `epoch` of its sketches, `middle` (base64 of int16
 * coordinates) and `radius` (input units).
 */
export function neighbourhoodOf(members: readonly Seen[], about: { profile: string; epoch: number; scale: number }): Evidence {
  const { profile, epoch, scale } = about
  const last = members.slice(-newest)
  const middle = meanOf(last)
  const farthest = Math.max(0, ...last.map(({ vector }) => sketchDistance(vector, middle))) * scale
  const references = last.map(({ point }) => point.reference).sort((a, b) => a - b)
  const most = mostOfReference * (references[references.length >> 1] ?? 0)
  const bytes = new Uint8Array(middle.buffer)
  return { profile, epoch, middle: btoa(String.fromCharCode(...bytes)), radius: Math.min(margin * farthest, most) }
}

function meanOf(members: readonly Seen[]): Int16Array {
  const [first] = members
  if (first === undefined) return new Int16Array(0)
  const sum = new Float64Array(first.vector.length)
  for (const { vector } of members) for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] as number) + (vector[i] as number)
  return Int16Array.from(sum, (value) => Math.round(value / members.length))
}
