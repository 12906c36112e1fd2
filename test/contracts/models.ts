import { createHash } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

// Small models for the runtime's contract, written by hand: what they compute can be checked by heart.

const float = { type: 'DT_FLOAT' }
const int = { type: 'DT_INT32' }

const sizes = (shape: readonly number[]) => ({ shape: { dim: shape.map((size) => ({ size: String(size) })) } })
const placeholder = (name: string, dtype: object, shape: readonly number[]) => ({
  name,
  op: 'Placeholder',
  attr: { dtype, shape: sizes(shape) },
})
const constant = (name: string, dtype: object) => ({ name, op: 'Const', attr: { dtype } })
const binary = (name: string, op: string, input: readonly string[], type: object) => ({ name, op, input, attr: { T: type } })

interface Written {
  readonly inputs: readonly object[]
  readonly outputs: readonly object[]
  readonly nodes: readonly object[]
  /** By file: name, shape, dtype and values of each constant. */
  readonly weights: readonly (readonly [string, readonly number[], 'float32' | 'int32', readonly number[]])[][]
  readonly labels?: readonly string[]
}

/**
 * `pair`: rows `a` (FP32, 3 values) and `b` (INT32, 2 values) in; `shares` (softmax of a × [[1,0],[0,1],[0,0]]) and
 * `doubled` (2b) out. Its weights lie in two files.
 */
const pair: Written = {
  inputs: [
    { name: 'a', datatype: 'FP32', shape: [-1, 3], range: [-10, 10] },
    { name: 'b', datatype: 'INT32', shape: [-1, 2] },
  ],
  outputs: [
    { name: 'shares', datatype: 'FP32', shape: [-1, 2] },
    { name: 'doubled', datatype: 'INT32', shape: [-1, 2] },
  ],
  nodes: [
    placeholder('a', float, [-1, 3]),
    placeholder('b', int, [-1, 2]),
    constant('w', float),
    constant('two', int),
    binary('product', 'MatMul', ['a', 'w'], float),
    binary('shares', 'Softmax', ['product'], float),
    binary('doubled', 'Mul', ['b', 'two'], int),
  ],
  weights: [[['w', [3, 2], 'float32', [1, 0, 0, 1, 0, 0]]], [['two', [], 'int32', [2]]]],
  labels: ['first', 'second'],
}

/** `free`: rows of any length (FP16 as they come), doubled. The tensors' names are not the graph's. */
const free: Written = {
  inputs: [{ name: 'values', datatype: 'FP16', shape: [-1, -1] }],
  outputs: [{ name: 'twice', datatype: 'FP64', shape: [-1, -1] }],
  nodes: [placeholder('x', float, [-1, -1]), constant('two', float), binary('y', 'Mul', ['x', 'two'], float)],
  weights: [[['two', [], 'float32', [2]]]],
}

/** `wide`: 64-bit integers, tripled. */
const wide: Written = {
  inputs: [{ name: 'n', datatype: 'INT64', shape: [-1, 1] }],
  outputs: [{ name: 'm', datatype: 'INT64', shape: [-1, 1] }],
  nodes: [placeholder('n', int, [-1, 1]), constant('three', int), binary('m', 'Mul', ['n', 'three'], int)],
  weights: [[['three', [], 'int32', [3]]]],
}

/** `endless`: integers as they are, if all are 0; of others the loop never ends. */
const endless: Written = {
  inputs: [{ name: 'n', datatype: 'INT32', shape: [-1, 1] }],
  outputs: [{ name: 'm', datatype: 'INT32', shape: [-1, 1] }],
  nodes: [
    placeholder('n', int, [-1, 1]),
    constant('zero', int),
    constant('axes', int),
    { name: 'enter', op: 'Enter', input: ['n'], attr: { T: int, frame_name: { s: 'bG9vcA==' } } },
    binary('merge', 'Merge', ['enter', 'next'], int),
    binary('differ', 'NotEqual', ['merge', 'zero'], int),
    { name: 'any', op: 'Any', input: ['differ', 'axes'], attr: { keep_dims: { b: false } } },
    { name: 'condition', op: 'LoopCond', input: ['any'] },
    binary('switch', 'Switch', ['merge', 'condition'], int),
    binary('same', 'Identity', ['switch:1'], int),
    binary('next', 'NextIteration', ['same'], int),
    binary('m', 'Exit', ['switch:0'], int),
  ],
  weights: [
    [
      ['zero', [], 'int32', [0]],
      ['axes', [2], 'int32', [0, 1]],
    ],
  ],
}

const graphs = { pair, free, wide, endless } as const

/** Writes a graph model into `<folder>/<name>/<version>/`. */
export async function writeGraph(folder: string, name: keyof typeof graphs, version = '1'): Promise<void> {
  const { inputs, outputs, nodes, weights, labels } = graphs[name]
  const files = weights.map((group, i) => ({ path: `group${i + 1}-shard1of1.bin`, bytes: Buffer.concat(group.map(bytesOf)) }))
  const topology = {
    format: 'graph-model',
    modelTopology: { node: nodes, versions: { producer: 1_000 } },
    weightsManifest: weights.map((group, i) => ({
      paths: [files[i]?.path],
      weights: group.map(([name, shape, dtype]) => ({ name, shape, dtype })),
    })),
  }
  const model = { path: 'model.json', bytes: Buffer.from(JSON.stringify(topology)) }
  const manifest = { platform: 'tfjs-graph', inputs, outputs, ...(labels && { labels }) }
  await writeVersion(folder, name, version, { ...manifest, files: { topology: entry(model), weights: files.map(entry) } }, [
    model,
    ...files,
  ])
}

function bytesOf([, , dtype, values]: Written['weights'][number][number]): Buffer {
  return Buffer.from((dtype === 'int32' ? Int32Array.from(values) : Float32Array.from(values)).buffer)
}

interface File {
  readonly path: string
  readonly bytes: Uint8Array
}

export function entry({ path, bytes }: File) {
  return { path, bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') }
}

/** A version's folder: its manifest, and the files that it names. */
export async function writeVersion(folder: string, name: string, version: string, manifest: object, files: readonly File[]): Promise<void> {
  const own = join(folder, name, version)
  for (const { path, bytes } of files) {
    await mkdir(dirname(join(own, path)), { recursive: true })
    await writeFile(join(own, path), bytes)
  }
  await mkdir(own, { recursive: true })
  await writeFile(join(own, 'manifest.json'), JSON.stringify({ name, version, ...manifest }))
}
