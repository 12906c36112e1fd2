import { setImmediate as nextTurn } from 'node:timers/promises'
import { Pause } from '../pause.ts'
import type { Consumer, TailOptions } from '../port.ts'
import type { Partition } from './partition.ts'

/** Follows every partition of a topic without a group. */
export function openTail(partitions: readonly Partition[], options: TailOptions): Consumer {
  const abort = new AbortController()
  let behind = partitions.length
  const caughtUp = (): void => {
    if (--behind === 0 && !abort.signal.aborted) options.onCaughtUp?.()
  }
  const running = Promise.all(partitions.map((partition) => follow(partition, options, caughtUp, abort.signal)))
  return {
    close: async () => {
      abort.abort()
      await running
    },
  }
}

async function follow(partition: Partition, options: TailOptions, caughtUp: () => void, signal: AbortSignal): Promise<void> {
  const goal = partition.end
  let position = startOf(partition, options.from)
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
