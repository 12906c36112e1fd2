import { partitionOf } from '../../bus/partitioner.ts'
import type { BusRecord } from '../../bus/port.ts'

/** From how many partitions to how many. */
export interface Growth {
  readonly from: number
  readonly to: number
}

/**
 * The partitions whose keys may lie in `partition` afterwards. A key's hash is the same modulo both numbers, so it is the same
 * modulo their greatest common divisor: where the new number is a multiple of the old one, there is but one.
 */
export function originsOf(partition: number, { from, to }: Growth): number[] {
  const divisor = gcd(from, to)
  return Array.from({ length: from }, (_, origin) => origin).filter((origin) => origin % divisor === partition % divisor)
}

/** Whether the sender of a record of an old partition knew the new number, the old one, or went by neither. */
export type Mapping = 'new' | 'old' | 'own'

/**
 * Where what is known of a record's key lies afterwards. What has no key (ticks), or lies where no number of partitions
 * puts its key, belongs to the partition that it lies in.
 */
export function homeOf({ key, partition }: Pick<BusRecord, 'key' | 'partition'>, { from, to }: Growth): { home: number; mapping: Mapping } {
  if (key === null) return { home: partition, mapping: 'own' }
  const home = partitionOf(key, to)
  if (home === partition) return { home, mapping: 'new' }
  return partitionOf(key, from) === partition ? { home, mapping: 'old' } : { home: partition, mapping: 'own' }
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b)
}
