import { type Profiler, Session } from 'node:inspector/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Where a process's CPU time went, by part. */
export interface Profile {
  /** Share of the samples that were not idle, by part; sums up to 1. */
  readonly parts: Readonly<Record<string, number>>
  /** The functions with most time of their own, `name file:line`, with their share. */
  readonly functions: readonly (readonly [string, number])[]
}

const root = fileURLToPath(new URL('../../../', import.meta.url))

/** The first pattern that a file's path has says which part it is of. */
const parts: readonly (readonly [RegExp, string])[] = [
  [/\/access\//, 'key check'],
  [/\/policy\/|@cedar-policy/, 'policy'],
  [/\/limits\//, 'limits'],
  [/\/audit\//, 'audit trail'],
  [/\/inference\/(hardening|watermark)\/|\/inference\/server\/harden/, 'hardening'],
  [/\/inference\/redaction\//, 'redaction'],
  [/\/inference\/(server\/oip|oip)\/|\/secure-json-parse\//, 'parsing and checking'],
  [/\/inference\/server\/openai\//, 'parsing and checking'],
  [/\/inference\/fingerprint\//, 'fingerprint'],
  [/\/inference\/server\/(recorder|metrics|pseudonym)\.ts|\/bus\/|\/schemas\//, 'events'],
  [/\/inference\/emitter\//, 'spool'],
  [/\/inference\/server\/tracing\.ts|\/inference\/telemetry\/|@opentelemetry/, 'tracing'],
  [/\/inference\/(upstream|pooled)/, 'upstream'],
  [/\/inference\/(runtime|classify)|@tensorflow/, 'model'],
  [/\/inference\/server\/(admission|gate|pools|service|enforcement|throttle|freshness)/, 'admission'],
  [/\/inference\//, 'rest of the node'],
  [/prom-client/, 'events'],
  [/undici/, 'undici'],
  [/\/fastify\/|\/find-my-way\/|\/avvio\/|\/light-my-request\//, 'fastify'],
  [/\/test\/bench\//, 'bench'],
  [/^node:/, 'node'],
]

/** V8's sampling profiler, in this process. */
export function openProfiler(): { start(): Promise<void>; stop(): Promise<Profile> } {
  const session = new Session()
  return {
    start: async () => {
      session.connect()
      await session.post('Profiler.enable')
      await session.post('Profiler.setSamplingInterval', { interval: 200 })
      await session.post('Profiler.start')
    },
    stop: async () => {
      const { profile } = await session.post('Profiler.stop')
      session.disconnect()
      return profileOf(profile)
    },
  }
}

/** A sample counts for the innermost caller that is of a part: what JSON.parse takes is the parser's. */
function profileOf({ nodes, samples = [], timeDeltas = [] }: Profiler.Profile): Profile {
  const micros = new Map<number, number>()
  samples.forEach((id, index) => micros.set(id, (micros.get(id) ?? 0) + (timeDeltas[index] ?? 0)))
  const byPart = new Map<string, number>()
  const byFunction = new Map<string, number>()
  const byId = new Map(nodes.map((node) => [node.id, node]))
  let total = 0
  const walk = (node: Profiler.ProfileNode, inherited: string) => {
    const { functionName, url, lineNumber } = node.callFrame
    const part = partOf(functionName, url, inherited)
    // Nor what the profiler itself takes.
    if (url === 'node:inspector') return
    const own = functionName === '(idle)' ? 0 : (micros.get(node.id) ?? 0)
    if (own > 0) {
      total += own
      byPart.set(part, (byPart.get(part) ?? 0) + own)
      const place = url === '' ? `under ${part}` : `${url.replace(`file://${root}`, '').replace(join(root, '/'), '')}:${lineNumber + 1}`
      const name = `${functionName === '' ? '(anonymous)' : functionName} ${place}`
      byFunction.set(name, (byFunction.get(name) ?? 0) + own)
    }
    for (const id of node.children ?? []) {
      const child = byId.get(id)
      if (child !== undefined) walk(child, part)
    }
  }
  const [first] = nodes
  if (first !== undefined) walk(first, 'node')
  const shares = (times: ReadonlyMap<string, number>) =>
    [...times].map(([name, time]) => [name, time / total] as const).sort(([, a], [, b]) => b - a)
  return { parts: Object.fromEntries(shares(byPart)), functions: shares(byFunction).slice(0, 60) }
}

function partOf(name: string, url: string, inherited: string): string {
  if (name === '(garbage collector)') return 'garbage collection'
  const path = url.startsWith('file://') ? url.slice('file://'.length) : url
  const found = parts.find(([pattern]) => pattern.test(path))?.[1]
  // Streams and buffers work for whoever called them.
  if (found === undefined || (found === 'node' && inherited !== 'node')) return inherited
  return found
}
