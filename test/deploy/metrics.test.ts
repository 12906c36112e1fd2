import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { Histogram, type Metric, type Registry } from 'prom-client'
import { parse } from 'yaml'
import { z } from 'zod'
import { Outcome } from '../../schemas/index.ts'
import { openNodeRegistry } from './registry.ts'

const read = (path: string) => readFileSync(new URL(`../../deploy/${path}`, import.meta.url), 'utf8')
const Rules = z.object({
  groups: z.array(
    z.object({ rules: z.array(z.object({ alert: z.string(), expr: z.string(), annotations: z.object({ summary: z.string() }) })) }),
  ),
})
const Dashboard = z.object({
  panels: z.array(z.object({ title: z.string(), targets: z.array(z.object({ expr: z.string() })).optional() })),
  templating: z.object({ list: z.array(z.object({ query: z.string() })) }),
})
const { groups } = Rules.parse(parse(read('prometheus/alerts.yaml')))
const rules = groups.flatMap((group) => group.rules)
const dashboard = Dashboard.parse(JSON.parse(read('grafana/node.json')))
const expressions = [
  ...rules.map(({ alert, expr }) => ({ of: alert, expr })),
  ...dashboard.panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ of: title, expr }))),
  ...dashboard.templating.list.map(({ query }) => ({ of: 'variables', expr: query })),
]
/** What Prometheus adds to every series. */
const added = new Set(['instance', 'job', 'le'])

let node: { readonly registry: Registry; close(): Promise<void> }
before(async () => {
  node = await openNodeRegistry()
})
after(() => node.close())

/** The metric behind the name of a series; of a histogram the three that it is scraped as. */
function metricOf(series: string): (Metric & { labelNames?: readonly string[] }) | undefined {
  const exact = node.registry.getSingleMetric(series)
  if (exact !== undefined) return exact instanceof Histogram ? undefined : exact
  const histogram = node.registry.getSingleMetric(series.replace(/_(bucket|sum|count)$/, ''))
  return histogram instanceof Histogram ? histogram : undefined
}

function labelsOf(expr: string): { series: string[]; labels: string[] } {
  const series = expr.match(/\bcordon_[a-z0-9_]+/g) ?? []
  const selected = [...expr.matchAll(/\{([^}]*)\}/g)].flatMap(([, inside = '']) =>
    [...inside.matchAll(/(\w+)\s*[=!]~?/g)].map(([, name = '']) => name),
  )
  const grouped = [...expr.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, inside = '']) => inside.split(/\s*,\s*/))
  return { series, labels: [...selected, ...grouped].filter((name) => !added.has(name)) }
}

test('every series that alerts and dashboard name is one that a node has, with the labels that they ask for', () => {
  for (const { of, expr } of expressions) {
    const { series, labels } = labelsOf(expr)
    for (const name of series) {
      const metric = metricOf(name)
      assert.ok(metric, `${of}: a node has no ${name}`)
      for (const label of labels) assert.ok(metric.labelNames?.includes(label), `${of}: ${name} has no label ${label}`)
    }
  }
})

test('outcomes that are looked for exist', () => {
  const named = expressions.flatMap(({ of, expr }) =>
    [...expr.matchAll(/cordon_(?:model_)?request[a-z_]*\{[^}]*outcome="([^"]*)"/g)].map(([, outcome = '']) => ({ of, outcome })),
  )
  assert.ok(named.length >= 4)
  for (const { of, outcome } of named) assert.ok(Outcome.safeParse(outcome).success, `${of}: there is no outcome ${outcome}`)
})

test('each panel asks for something, and each alert says what is wrong', () => {
  const empty = dashboard.panels.filter(({ targets }) => targets !== undefined && targets.length === 0)
  assert.deepEqual(empty, [])
  assert.ok(dashboard.panels.length > 20)
  assert.equal(new Set(rules.map(({ alert }) => alert)).size, rules.length)
})
