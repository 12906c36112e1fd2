import { setImmediate as nextTurn } from 'node:timers/promises'
import { Pause } from '../pause.ts'
import type { Tail, TailOptions } from '../port.ts'
import type { Partition } from './partition.ts'

export interface LocalTail extends Tail {
  /** The topic may have got partitions: they are followed too, from their start. */
  grow(topic: string): void
}

/** Follows every partition of a topic without a group. */
export function openTail(partitionsOf: () => readonly Partition[], options: TailOptions): LocalTail {
  const abort = new AbortController()
  const partitions = partitionsOf().filter(({ number }) => options.partitions?.includes(number) ?? true)
  let behind = partitions.length
  const caughtUp = (): void => {
    if (--behind === 0 && !abort.signal.aborted) options.onCaughtUp?.()
  }
  const running = partitions.map((partition) => follow(partition, startOf(partition, options.from), options, caughtUp, abort.signal))
  return {
    grow: (topic) => {
      if (topic !== options.topic || options.partitions !== undefined || abort.signal.aborted) return
      const added = partitionsOf().slice(running.length)
      running.push(...added.map((partition) => follow(partition, partition.start, options, () => {}, abort.signal)))
    },
    close: async () => {
      abort.abort()
      await Promise.all(running)
    },
    // What is appended is here at once.
    staleMs: () => 0,
  }
}

async function follow(partition: Partition, from: number, options: TailOptions, caughtUp: () => void, signal: AbortSignal): Promise<void> {
  const goal = partition.end
  let position = from
  let told = false
  const pause = new Pause()
  // The caller has its Consumer before the first record comes.
  await nextTurn()
  while (!signal.aborted) {
    if (!told && position >= goal) {
      told = true
      caughtUp()
    }
    await partition.wait(position, signal)
    if (signal.aborted) return
    try {
      const records = partition.read(position, 1_000)
      position = records.at(-1) === undefined ? partition.end : (records.at(-1)?.offset ?? 0) + 1
      pause.reset()
      if (records.length > 0) options.onRecords(records)
    } catch (error) {
      options.onError?.(error)
      await pause.wait(signal)
    }
    await nextTurn()
  }
}

function startOf(partition: Partition, from: TailOptions['from']): number {
  if (from === 'start') return partition.start
  if (from === 'end') return partition.end
  return Math.min(from.get(partition.number) ?? partition.start, partition.end)
}
