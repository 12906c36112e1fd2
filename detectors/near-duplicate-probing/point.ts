import { z } from 'zod'
import { bandCount } from './band-index.ts'

/** One query as the detector remembers it. Lengths are in steps of the sketch. */
export interface Point {
  /** Counts the queries of this memory. */
  seq: number
  event: string
  at: number
  principal: string
  organization: string | null
  exact: string
  label: number
  confidence: number
  margin: number
  /** −ln of the confidence's tail probability: 1 on average for ordinary queries. */
  doubt: number
  /** −ln of the residual's tail probability. */
  strangeness: number
  residual: number
  /** Distance to the nearest reference input. */
  reference: number
  /** The cluster it belongs to, or 0. */
  cluster: number
  /** The point that it was linked to, or 0, and how far away that was. */
  parent: number
  step: number
  /** Share of that change inside the principal subspace. */
  share: number
  /** Queries that were linked to it. */
  children: number
}

/** A remembered query with its sketch: a view, valid until the query is forgotten. */
export interface Seen {
  readonly point: Point
  readonly vector: Int16Array
  /** Where its cluster keeps its distances (distances.ts). */
  row: number
}

/** The numbers of a point in the order in which a snapshot has them, column by column; after them, how often it was spared. */
export const numbers = [
  'seq',
  'at',
  'label',
  'confidence',
  'margin',
  'doubt',
  'strangeness',
  'residual',
  'reference',
  'cluster',
  'parent',
  'step',
  'share',
  'children',
] as const satisfies readonly (keyof Point)[]

/** Columns, since an object for each of thousands of points takes ten times as long to write. */
export const MemoryJson = z
  .object({
    capacity: z.int().min(1).max(65_536),
    dimensions: z.int().min(0).max(4_096),
    hand: z.int().min(0),
    seq: z.int().min(0),
    events: z.array(z.string()).max(65_536),
    principals: z.array(z.string()),
    organizations: z.array(z.string().nullable()),
    exacts: z.array(z.string()),
    /** Float64, base64. */
    numbers: z.string(),
    recent: z.array(z.tuple([z.string(), z.array(z.number())])),
    /** Uint32, eight a point, base64. */
    bands: z.string(),
    /** Int16, base64. */
    vectors: z.string(),
  })
  .refine(({ capacity, events, principals, organizations, exacts }) => {
    return events.length <= capacity && [principals, organizations, exacts].every((column) => column.length === events.length)
  }, 'columns of different lengths')
  .refine(({ events, numbers: text, dimensions, vectors, bands }) => {
    const bytes = (base64: string) => Buffer.byteLength(base64, 'base64')
    if (bytes(bands) !== events.length * bandCount * 4) return false
    return bytes(text) === events.length * (numbers.length + 1) * 8 && bytes(vectors) === events.length * dimensions * 2
  }, 'numbers missing')
export type MemoryJson = z.infer<typeof MemoryJson>

/** @param columns as the snapshot has them */
export function pointAt(json: MemoryJson, columns: Float64Array, slot: number): Point {
  const at = (name: (typeof numbers)[number]) => columns[numbers.indexOf(name) * json.events.length + slot] ?? 0
  return {
    seq: at('seq'),
    event: json.events[slot] ?? '',
    at: at('at'),
    principal: json.principals[slot] ?? '',
    organization: json.organizations[slot] ?? null,
    exact: json.exacts[slot] ?? '',
    label: at('label'),
    confidence: at('confidence'),
    margin: at('margin'),
    doubt: at('doubt'),
    strangeness: at('strangeness'),
    residual: at('residual'),
    reference: at('reference'),
    cluster: at('cluster'),
    parent: at('parent'),
    step: at('step'),
    share: at('share'),
    children: at('children'),
  }
}
