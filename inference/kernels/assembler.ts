import { opcodes, valueTypes } from './opcodes.ts'

/**
 * Assembles what kernels need of WebAssembly's text format: a module of one function over an imported memory, its
 * instructions folded (`(i32.add $a 4)`). A bare `$name` reads a local, and a bare number is an `i32.const`.
 *
 * @param text `(func name (param $x i32 …) (local $y v128 …) instruction …)`; the function is exported by its name
 * @returns the module's bytes; it imports its memory as `env.memory`
 * @throws SyntaxError for what it does not know; what it knows WebAssembly still has to validate
 */
export function assemble(text: string): Uint8Array<ArrayBuffer> {
  const { name, params, code } = functionOf(parse(text))
  const memory = [...nameOf('env'), ...nameOf('memory'), 0x02, 0x00, ...unsigned(1)]
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(1, [0x60, ...vector(params), 0]),
    ...section(2, memory),
    ...section(3, [0]),
    ...section(7, [...nameOf(name), 0x00, 0]),
    ...section(10, vector(code)),
  ])
}

type Node = string | readonly Node[]

function parse(text: string): Node {
  const open: Node[][] = [[]]
  for (const token of text.replaceAll(/;;.*/g, '').match(/[()]|[^\s()]+/g) ?? []) {
    if (token === '(') open.push([])
    else if (token === ')') {
      const closed = open.pop() ?? []
      known(open.at(-1), 'more closing parentheses than opening ones').push(closed)
    } else open.at(-1)?.push(token)
  }
  if (open.length !== 1) throw new SyntaxError('A kernel lacks a closing parenthesis.')
  return known(open[0]?.[0], 'nothing')
}

function functionOf(node: Node) {
  const [, name = '', ...rest] = listOf(node)
  const declared = (kind: string) => rest.flatMap((each) => (each[0] === kind ? listOf(each).slice(1).map(textOf) : []))
  const [params, locals] = [declared('param'), declared('local')]
  const typesOf = (pairs: readonly string[]) => pairs.filter((_, i) => i % 2 === 1).map((type) => known(valueTypes[type], type))
  const body = rest.filter((each) => each[0] !== 'param' && each[0] !== 'local')
  const scope = { locals: [...params, ...locals].filter((_, i) => i % 2 === 0), labels: [] }
  const code = [...vector(typesOf(locals).map((type) => [1, type])), ...body.flatMap((each) => instruction(each, scope)), 0x0b]
  return { name: textOf(name), params: typesOf(params), code }
}

interface Scope {
  readonly locals: readonly string[]
  /** The innermost first. */
  readonly labels: readonly string[]
}

function instruction(node: Node, scope: Scope): readonly number[] {
  if (typeof node === 'string') return node.startsWith('$') ? [0x20, ...place(scope.locals, node)] : [0x41, ...signed(Number(node) | 0)]
  const [operation = '', first = '', ...others] = node
  const all = (nodes: readonly Node[], inner = scope) => nodes.flatMap((each) => instruction(each, inner))
  switch (operation) {
    case 'block':
    case 'loop':
      return [operation === 'block' ? 0x02 : 0x03, 0x40, ...all(others, { ...scope, labels: [textOf(first), ...scope.labels] }), 0x0b]
    case 'if':
      return [...instruction(first, scope), 0x04, 0x40, ...branches(others, { ...scope, labels: ['', ...scope.labels] }), 0x0b]
    case 'f64.const':
      return [0x44, ...new Uint8Array(Float64Array.of(Number(first)).buffer)]
    case 'br':
    case 'br_if':
      return [...all(others), operation === 'br' ? 0x0c : 0x0d, ...place(scope.labels, textOf(first))]
    case 'local.set':
    case 'local.tee':
      return [...all(others), operation === 'local.set' ? 0x21 : 0x22, ...place(scope.locals, textOf(first))]
    default: {
      const offset = typeof first === 'string' && first.startsWith('offset=') ? Number(first.slice(7)) : undefined
      const operands = all(offset === undefined ? node.slice(1) : others)
      const argument = /\.(load|store)/.test(textOf(operation)) ? [0x00, ...unsigned(offset ?? 0)] : []
      return [...operands, ...known(opcodes[textOf(operation)], textOf(operation)), ...argument]
    }
  }
}

/** Of an `if`: `(then …)`, and `(else …)` where it has one. A label of its own, which nothing names, counts in the depth of the others. */
function branches([then = '', ...otherwise]: readonly Node[], scope: Scope): readonly number[] {
  const of = (node: Node, keyword: string) => {
    const [first = '', ...body] = listOf(node)
    known(first === keyword ? first : undefined, `${String(first)} for ${keyword}`)
    return body.flatMap((each) => instruction(each, scope))
  }
  return [...of(then, 'then'), ...otherwise.flatMap((node) => [0x05, ...of(node, 'else')])]
}

function known<T>(found: T | undefined, what: string): T {
  if (found === undefined) throw new SyntaxError(`A kernel cannot have ${what}: write it another way, or teach the assembler.`)
  return found
}

function listOf(node: Node): readonly Node[] {
  return known(typeof node === 'string' ? undefined : node, `${String(node)} in this place`)
}

function textOf(node: Node): string {
  return known(typeof node === 'string' ? node : undefined, 'a list in this place')
}

function place(names: readonly string[], name: string): readonly number[] {
  return unsigned(known(names.includes(name) ? names.indexOf(name) : undefined, name))
}

/** LEB128, as everything else that is counted here. */
function unsigned(value: number): readonly number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)]
}

function signed(value: number): readonly number[] {
  return value >= -0x40 && value < 0x40 ? [value & 0x7f] : [(value & 0x7f) | 0x80, ...signed(value >> 7)]
}

/** Its length, then its bytes or its items. */
function vector(items: readonly (readonly number[] | number)[]): readonly number[] {
  return [...unsigned(items.length), ...items.flat()]
}

function nameOf(text: string): readonly number[] {
  return vector([...Buffer.from(text)])
}

/** A section of one item. */
function section(id: number, item: readonly number[]): readonly number[] {
  return [id, ...vector([...unsigned(1), ...item])]
}
