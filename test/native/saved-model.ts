// A SavedModel by hand, in protocol buffers' wire format: no Python, and the test shows what the file says.
// Field numbers are those of tensorflow/core/protobuf/saved_model.proto, meta_graph.proto and framework/*.proto.

type Field = readonly [number, string | number | Buffer]

function message(...fields: readonly Field[]): Buffer {
  return Buffer.concat(
    fields.map(([number, value]) => {
      if (typeof value === 'number') return Buffer.concat([varint(number << 3), varint(value)])
      const bytes = typeof value === 'string' ? Buffer.from(value) : value
      return Buffer.concat([varint((number << 3) | 2), varint(bytes.length), bytes])
    }),
  )
}

/** 64-bit, two's complement, as protocol buffers write -1. */
function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = BigInt.asUintN(64, BigInt(value))
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128)
  return Buffer.from([...bytes, Number(rest)])
}

const types = { float: 1, string: 7 } as const
type Type = keyof typeof types

const shapeOf = (sizes: readonly number[]) => message(...sizes.map((size): Field => [2, message([1, size])]))
const attribute = (name: string, value: Buffer): Field => [5, message([1, name], [2, value])]
const typed = (name: string, type: Type) => attribute(name, message([6, types[type]]))

function node(name: string, op: string, inputs: readonly string[], attributes: readonly Field[]): Field {
  return [1, message([1, name], [2, op], ...inputs.map((input): Field => [3, input]), ...attributes)]
}

function placeholder(name: string, type: Type, shape: readonly number[]): Field {
  return node(name, 'Placeholder', [], [typed('dtype', type), attribute('shape', message([7, shapeOf(shape)]))])
}

function scalar(name: string, value: number): Field {
  const content = Buffer.from(Float32Array.of(value).buffer)
  const tensor = message([1, types.float], [2, shapeOf([])], [4, content])
  return node(name, 'Const', [], [typed('dtype', 'float'), attribute('value', message([8, tensor]))])
}

const tensorInfo = (name: string, type: Type, shape: readonly number[]) => message([1, `${name}:0`], [2, types[type]], [3, shapeOf(shape)])
const named = (field: number, key: string, value: Buffer): Field => [field, message([1, key], [2, value])]

/** `x` (FP32, [-1, 2]) → `y` = 3x; `s` (strings, [-1, 1]) → `t` = s joined to itself. */
export function savedModel(): Buffer {
  const graph = message(
    placeholder('x_in', 'float', [-1, 2]),
    placeholder('s_in', 'string', [-1, 1]),
    scalar('three', 3),
    node('y_out', 'Mul', ['x_in', 'three'], [typed('T', 'float')]),
    node('t_out', 'StringJoin', ['s_in', 's_in'], [attribute('N', message([3, 2])), attribute('separator', message([2, '']))]),
    [4, message([1, 1_087])],
  )
  const signature = message(
    named(1, 'x', tensorInfo('x_in', 'float', [-1, 2])),
    named(1, 's', tensorInfo('s_in', 'string', [-1, 1])),
    named(2, 'y', tensorInfo('y_out', 'float', [-1, 2])),
    named(2, 't', tensorInfo('t_out', 'string', [-1, 1])),
    [3, 'tensorflow/serving/predict'],
  )
  const metaGraph = message([1, message([4, 'serve'], [5, '2.21.0'])], [2, graph], named(5, 'serving_default', signature))
  return message([1, 1], [2, metaGraph])
}
