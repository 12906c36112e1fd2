import { capacity, type Memory, principalOf } from './memory.ts'

/** A step repeats another when it points the same way and is about as long. */
const repeatCosine = 0.75
const repeatLength = 1.5
/** Steps back that are compared: a row of a grid. */
const mostBack = 7
/** Shorter ones drown in what remembering in eight bits costs. Input units. */
const leastLength = 0.3

/** One step of a chain of variations, held against those before it. */
export interface Step {
  /** `line`: as the one before. `lattice`: as an earlier one, and not as the one before: another row of a grid. */
  readonly repeats: 'nothing' | 'line' | 'lattice'
  /** L2, input units. */
  readonly length: number
  /** Of what it changes outside the principal subspace: 2 for two input values, 3 − 2/s for s, as with a stroke, a patch or noise. */
  readonly kurtosis: number
}

const rows = new Int32Array(mostBack + 2)
const step = new Float64Array(512)
const none: Step = { repeats: 'nothing', length: 0, kurtosis: 3 }

/** The step from the chain's last query to this one; the last queries are looked through, whatever lies between. */
export function stepOf(memory: Memory, chain: number, values: Float32Array): Step {
  const { cells, width } = memory
  if (width !== values.length || width > step.length) return none
  let found = 0
  for (let n = 1; n <= memory.recent && n <= capacity.recent && found < rows.length; n++) {
    const row = memory.last(n)
    if (memory.read(row, 'chain') === chain) rows[found++] = row
  }
  if (found === 0) return none
  const last = rows[0] as number
  const scale = memory.read(last, 'step')
  let squared = 0
  for (let i = 0; i < width; i++) {
    const change = (values[i] as number) - (cells[last * width + i] as number) * scale
    step[i] = change
    squared += change * change
  }
  const length = Math.sqrt(squared)
  if (length < leastLength) return none
  let back = 1
  while (back < found && !isRepeated(memory, back, length)) back++
  return { repeats: back === found ? 'nothing' : back === 1 ? 'line' : 'lattice', length, kurtosis: kurtosisOf(width) }
}

/** Whether the step so many before went the same way. */
function isRepeated(memory: Memory, back: number, length: number): boolean {
  const { cells, width } = memory
  const [to, from] = [rows[back - 1] as number, rows[back] as number]
  const [toScale, fromScale] = [memory.read(to, 'step'), memory.read(from, 'step')]
  let [dot, squared] = [0, 0]
  for (let i = 0; i < width; i++) {
    const change = (cells[to * width + i] as number) * toScale - (cells[from * width + i] as number) * fromScale
    dot += change * (step[i] as number)
    squared += change * change
  }
  const other = Math.sqrt(squared)
  return dot >= repeatCosine * length * other && other > 0 && other < repeatLength * length && length < repeatLength * other
}

/** Of the remainder's coordinates alone. */
function kurtosisOf(width: number): number {
  const from = principalOf(width)
  let [second, fourth] = [0, 0]
  for (let i = from; i < width; i++) {
    const square = (step[i] as number) ** 2
    second += square
    fourth += square * square
  }
  return second > 0 ? ((width - from) * fourth) / (second * second) : 3
}
