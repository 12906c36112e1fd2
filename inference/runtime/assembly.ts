import type { Datatype } from '../port.ts'
import { emptyOf, isList, rowSize } from './datatypes.ts'
import type { Block, Values } from './protocol.ts'

/** Rows of a batch's outputs that belong to one request. */
export interface Chunk {
  readonly row: number
  readonly items: number
  /** Whether the batch is this request's alone, so that its arrays need no copy. */
  readonly whole: boolean
  readonly blocks: readonly Block[]
}

/** Rows of a request's input that go into a batch. */
export interface Rows {
  readonly block: Block
  readonly from: number
  readonly items: number
}

/** One input of a batch: a copy, as the thread takes it away and the node still needs what was asked. */
export function gathered(datatype: Datatype, rows: readonly Rows[]): Block {
  const items = rows.reduce((sum, one) => sum + one.items, 0)
  const shape = [items, ...(rows[0]?.block.shape.slice(1) ?? [])]
  const size = rowSize(shape)
  if (datatype === 'BYTES') {
    return {
      data: rows.flatMap(({ block, from, items }) => (isList(block.data) ? block.data.slice(from * size, (from + items) * size) : [])),
      shape,
    }
  }
  const data = emptyOf(datatype, items * size)
  let at = 0
  for (const { block, from, items } of rows) {
    if (!isList(block.data)) data.set(block.data.subarray(from * size, (from + items) * size), at)
    at += items * size
  }
  return { data, shape }
}

/** The outputs of one request. Throws where chunks differ in their free dimensions. */
export function assembled(chunks: readonly Chunk[]): readonly Block[] {
  const [first] = chunks
  if (first === undefined) return []
  if (chunks.length === 1 && first.whole) return first.blocks
  return first.blocks.map((_, i) =>
    joined(chunks.flatMap(({ blocks, row, items }) => (blocks[i] ? [{ block: blocks[i], row, items }] : []))),
  )
}

function joined(parts: readonly { readonly block: Block; readonly row: number; readonly items: number }[]): Block {
  const tail = parts[0]?.block.shape.slice(1) ?? []
  const size = rowSize([1, ...tail])
  const pieces = parts.map(({ block, row, items }) => {
    if (block.shape.slice(1).join() !== tail.join()) throw new Error(`[${block.shape.join(', ')}] does not go on [${tail.join(', ')}]`)
    return slice(block.data, row * size, (row + items) * size)
  })
  const shape = [parts.reduce((sum, { items }) => sum + items, 0), ...tail]
  return { data: concatenated(pieces), shape }
}

function slice(data: Values, from: number, to: number): Values {
  return data.slice(from, to)
}

function concatenated(pieces: readonly Values[]): Values {
  const [first] = pieces
  if (first === undefined || pieces.length === 1) return first ?? []
  if (isList(first)) return pieces.flatMap((piece) => (isList(piece) ? [...piece] : []))
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0)
  const whole =
    first instanceof Float32Array ? new Float32Array(length) : first instanceof Int32Array ? new Int32Array(length) : new Uint8Array(length)
  let at = 0
  for (const piece of pieces) {
    if (!isList(piece)) whole.set(piece, at)
    at += piece.length
  }
  return whole
}
