// A writer of small databases in MaxMind's format, for tests: https://maxmind.github.io/MaxMind-DB/, version 2.0, IPv4, records of 24 bits.

interface Entry {
  /** CIDR. */
  readonly network: string
  readonly record: object
}

/** What a node's side leads to: a node, an entry, or nothing. */
type Side = Tree | { readonly entry: number } | null
interface Tree {
  readonly sides: [Side, Side]
}

export function databaseOf(entries: readonly Entry[]): Buffer {
  const root: Tree = { sides: [null, null] }
  entries.forEach(({ network }, entry) => insert(root, network, entry))
  const nodes: Tree[] = []
  number(root, nodes)
  const records = entries.map(({ record }) => encoded(record))
  const offsets = records.map((_, i) => records.slice(0, i).reduce((sum, { length }) => sum + length, 0))
  const value = (side: Side) => {
    if (side === null) return nodes.length
    return 'sides' in side ? nodes.indexOf(side) : nodes.length + 16 + (offsets[side.entry] ?? 0)
  }
  const tree = nodes.flatMap(({ sides }) => sides.flatMap((side) => [value(side) >> 16, (value(side) >> 8) & 255, value(side) & 255]))
  const metadata = encoded({
    binary_format_major_version: 2,
    binary_format_minor_version: 0,
    build_epoch: 1,
    database_type: 'Test-Country',
    ip_version: 4,
    node_count: nodes.length,
    record_size: 24,
  })
  return Buffer.concat([Buffer.from(tree), Buffer.alloc(16), ...records, Buffer.from('abcdef4d61784d696e642e636f6d', 'hex'), metadata])
}

function insert(root: Tree, network: string, entry: number): void {
  const [address = '', length = '32'] = network.split('/')
  const bits = address
    .split('.')
    .map((part) => Number(part).toString(2).padStart(8, '0'))
    .join('')
    .slice(0, Number(length))
  let at = root
  Array.from(bits, Number).forEach((bit, depth) => {
    if (depth === bits.length - 1) at.sides[bit] = { entry }
    else {
      const known = at.sides[bit]
      const next: Tree = known !== null && known !== undefined && 'sides' in known ? known : { sides: [null, null] }
      at.sides[bit] = next
      at = next
    }
  })
}

function number(tree: Tree, nodes: Tree[]): void {
  nodes.push(tree)
  for (const side of tree.sides) if (side !== null && 'sides' in side) number(side, nodes)
}

/** Maps (7), strings (2) and uint32 (6), each shorter than 29 bytes. */
function encoded(value: unknown): Buffer {
  if (typeof value === 'string') return Buffer.concat([Buffer.from([(2 << 5) | Buffer.byteLength(value)]), Buffer.from(value)])
  if (typeof value === 'number') return Buffer.from([(6 << 5) | 4, value >> 24, (value >> 16) & 255, (value >> 8) & 255, value & 255])
  const fields = Object.entries(value ?? {})
  return Buffer.concat([Buffer.from([(7 << 5) | fields.length]), ...fields.flatMap(([name, inner]) => [encoded(name), encoded(inner)])])
}
