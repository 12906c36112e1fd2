import type { CommitWrite } from './index-store.ts'
import type { EncodedRun } from './layout.ts'
import type { Partition } from './partition.ts'

/*
 * What one frame of the journal carries, one item after another, integers little-endian:
 *
 *   part    u8 1 · u16 topic · u16 partition · f64 offset of its first record · u32 count · u32 length · run of records
 *   commit  u8 2 · u16 topic · u16 partition · f64 offset · u16 length · group
 */
const partItem = 1
const commitItem = 2
const partHeader = 21
const commitHeader = 15

/** What comes before the run of a part. */
export function partHead(partition: Partition, base: number, run: EncodedRun): Buffer {
  const head = Buffer.allocUnsafe(partHeader)
  head.writeUInt8(partItem, 0)
  head.writeUInt16LE(partition.topic.id, 1)
  head.writeUInt16LE(partition.number, 3)
  head.writeDoubleLE(base, 5)
  head.writeUInt32LE(run.count, 13)
  head.writeUInt32LE(run.bytes.length, 17)
  return head
}

export function commitBytes(write: CommitWrite): Buffer {
  const group = Buffer.from(write.group)
  const bytes = Buffer.allocUnsafe(commitHeader + group.length)
  bytes.writeUInt8(commitItem, 0)
  bytes.writeUInt16LE(write.topic.id, 1)
  bytes.writeUInt16LE(write.partition, 3)
  bytes.writeDoubleLE(write.offset, 5)
  bytes.writeUInt16LE(group.length, 13)
  bytes.set(group, commitHeader)
  return bytes
}

/** An item as read back; the topic is its number. */
export interface FrameItem {
  readonly topicId: number
  readonly partition: number
  readonly offset: number
  /** Set for a part. */
  readonly run?: EncodedRun
  /** Set for a commit. */
  readonly group?: string
}

export function readFrame(payload: Buffer): FrameItem[] {
  const items: FrameItem[] = []
  for (let at = 0; at < payload.length; ) {
    const topicId = payload.readUInt16LE(at + 1)
    const partition = payload.readUInt16LE(at + 3)
    const offset = payload.readDoubleLE(at + 5)
    if (payload.readUInt8(at) === commitItem) {
      const end = at + commitHeader + payload.readUInt16LE(at + 13)
      items.push({ topicId, partition, offset, group: payload.toString('utf8', at + commitHeader, end) })
      at = end
    } else {
      const end = at + partHeader + payload.readUInt32LE(at + 17)
      items.push({
        topicId,
        partition,
        offset,
        run: { bytes: payload.subarray(at + partHeader, end), count: payload.readUInt32LE(at + 13) },
      })
      at = end
    }
  }
  return items
}
