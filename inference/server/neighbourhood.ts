import type { Fingerprint } from '../port.ts'

/** A ball of inputs of one model, in the space of its sketches. */
export interface Neighbourhood {
  readonly model: string
  /** Sketches of another profile or key are not comparable, and never within. */
  readonly profile: string
  readonly epoch: number
  readonly middle: Int16Array
  /** Input units. */
  readonly radius: number
}

/** Int16 little-endian, base64. */
export function readCoordinates(base64: string): Int16Array {
  const bytes = Buffer.from(base64, 'base64')
  return Int16Array.from({ length: bytes.length >> 1 }, (_, i) => bytes.readInt16LE(2 * i))
}

/** @param sketch the fingerprint's, read */
export function isWithin(
  { profile, epoch, middle, radius }: Neighbourhood,
  print: Pick<Fingerprint, 'profile' | 'epoch' | 'scale'>,
  sketch: Int16Array,
): boolean {
  if (print.profile !== profile || print.epoch !== epoch || sketch.length !== middle.length) return false
  const most = (radius / print.scale) ** 2
  let squared = 0
  for (let i = 0; i < sketch.length && squared <= most; i++) squared += ((sketch[i] as number) - (middle[i] as number)) ** 2
  return squared <= most
}
