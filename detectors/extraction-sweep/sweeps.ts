import type { Head, State } from './state.ts'
import { stepOf } from './steps.ts'

/** Repeated steps before a chain is a sweep: seven queries along a line, eight of a grid with rows of five. */
const fewestRepeats = 5
const fewestOnGrid = 4
/** Share of the steps that must repeat another. */
const repeatShare = 0.6
/** Steps that are measured before their mean says something. */
const fewestMeasured = 7
/** Mean kurtosis of steps that change two input values each, as one pixel at a time does; strokes have 2.4. */
const sparse = 2.2
/** Deviation of their length against the mean. */
const evenLength = 0.15

/** Follows a chain of variations by one query, and counts it once it is systematic. */
export function follow(state: State, chain: number, row: number, values: Float32Array): void {
  const head = headOf(state, chain, row)
  const { repeats, length, kurtosis } = stepOf(state.memory, chain, values)
  if (head.counted === 'lattice') return
  if (repeats !== 'nothing') head.repeats++
  if (repeats === 'lattice') head.crossings++
  if (length > 0) {
    head.measured++
    head.kurtosis += kurtosis
    head.length += length
    head.squaredLength += length * length
  }
  const kind = kindOf(head)
  if (kind === head.counted || kind === 'no') return
  if (head.counted === 'line') state.lines--
  if (kind === 'line') state.lines++
  else state.lattices++
  head.counted = kind
}

function headOf(state: State, chain: number, row: number): Head {
  if (state.head?.chain === chain) return state.head
  const { memory } = state
  const step = memory.read(row, 'step')
  const values = Array.from(memory.cells.subarray(row * memory.width, (row + 1) * memory.width), (cell) => cell * step)
  const sums = { repeats: 0, crossings: 0, measured: 0, kurtosis: 0, length: 0, squaredLength: 0 }
  state.head = { chain, values, steps: 0, ...sums, counted: 'no' }
  return state.head
}

function kindOf(head: Head): Head['counted'] {
  const { measured, repeats, crossings, kurtosis, length, squaredLength } = head
  if (measured >= fewestMeasured) {
    const mean = length / measured
    const even = squaredLength / measured - mean * mean <= (evenLength * mean) ** 2
    if (even && kurtosis <= sparse * measured) return 'lattice'
  }
  if (repeats < repeatShare * measured) return head.counted
  if (crossings > 0 && repeats >= fewestOnGrid) return 'lattice'
  return repeats >= fewestRepeats ? 'line' : head.counted
}
