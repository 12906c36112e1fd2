/**
 * Kafka's murmur2 (org.apache.kafka.common.utils.Utils), so that a key lies in the same partition on either adapter
 * and wherever else a Java-compatible producer puts it.
 */
export function murmur2(data: Uint8Array): number {
  const { length } = data
  let hash = 0x9747b28c ^ length
  let at = 0
  for (; at + 4 <= length; at += 4) {
    let word = (data[at] ?? 0) | ((data[at + 1] ?? 0) << 8) | ((data[at + 2] ?? 0) << 16) | ((data[at + 3] ?? 0) << 24)
    word = Math.imul(word, 0x5bd1e995)
    word ^= word >>> 24
    word = Math.imul(word, 0x5bd1e995)
    hash = Math.imul(hash, 0x5bd1e995) ^ word
  }
  const rest = length - at
  if (rest === 3) hash ^= (data[at + 2] ?? 0) << 16
  if (rest >= 2) hash ^= (data[at + 1] ?? 0) << 8
  if (rest >= 1) hash = Math.imul(hash ^ (data[at] ?? 0), 0x5bd1e995)
  hash ^= hash >>> 13
  hash = Math.imul(hash, 0x5bd1e995)
  return hash ^ (hash >>> 15)
}

/** The partition of a key among `partitions`. */
export function partitionOf(key: string, partitions: number): number {
  return (murmur2(Buffer.from(key)) & 0x7fffffff) % partitions
}
