// Writes docs/reference.md from the definitions: settings, detectors, responders, forensic queries, topics. What a definition
// says is the documentation; `--check` fails when the page says something else.
import { readFileSync, writeFileSync } from 'node:fs'
import { z } from 'zod'
import { environmentName, settings } from '../cli/config/load.ts'
import { Config } from '../cli/config/schema.ts'
import { detectors } from '../detectors/registry.ts'
import { responders } from '../responders/registry.ts'
import { topics } from '../schemas/index.ts'
import { listQueries } from '../store/library.ts'

const file = new URL('../docs/reference.md', import.meta.url)
const text = [
  '# Reference\n\nMade by `npm run docs` from the definitions in the code.',
  `## Settings\n\n\`cordon.config.yaml\`, over it environment variables, over both flags. \`cordon config --show\` prints what is in force and where each value came from.\n\n${settingsTable()}`,
  `## Detectors\n\n${detectors.map((d) => `### ${d.id}\n\n${d.summary}\n\nVersion ${d.version}; reads ${d.observes.join(', ')}; ATLAS ${d.threats.join(', ')}.\n\n${parameters(d.params)}`).join('\n\n')}`,
  `## Responders\n\n${responders
    .map(
      (r) =>
        `### ${r.id}\n\n${r.summary}\n\nEffect: ${r.effect}. Targets: ${r.targets.join(', ')}. Permissions: ${r.permissions.join(', ')}.\n\nExample: \`cordon contain ${r.example.target} --action ${r.id} --for 10m --reason "…"${Object.entries(
          r.example.parameters,
        )
          .map(([k, v]) => ` --param ${k}=${v}`)
          .join('')}\`\n\n${parameters(r.params)}`,
    )
    .join('\n\n')}`,
  `## Forensic queries\n\n\`cordon query NAME --param name=value\`. The SQL is in \`store/queries/\`.\n\n${queries()}`,
  `## Topics\n\n| topic | kind | key of | partitions | kept |\n| --- | --- | --- | ---: | --- |\n${Object.values(topics)
    .map(
      (t) =>
        `| ${t.name} | ${t.kind} | \`${String(t.key).replace(/^.*=> /, '')}\` | ${t.partitions} | ${t.retentionMs === null ? 'newest of each key' : `${t.retentionMs / 86_400_000} days`} |`,
    )
    .join('\n')}`,
].join('\n\n')

if (!process.argv.includes('--check')) {
  writeFileSync(file, `${text}\n`)
  console.log('docs/reference.md written')
} else if (readFileSync(file, 'utf8') === `${text}\n`) console.log('docs/reference.md matches')
else {
  console.error('docs/reference.md is not what the definitions say: run npm run docs')
  process.exitCode = 1
}

function settingsTable(): string {
  const defaults = Config.parse({})
  const rows = [...settings()].map(([path, schema]) => {
    const value = path.split('.').reduce<unknown>((at, part) => (at as Record<string, unknown>)[part], defaults)
    return `| \`${path}\` | \`${JSON.stringify(value)}\` | \`${environmentName(path)}\` | ${schema.description ?? ''} |`
  })
  return `| setting | default | environment | |\n| --- | --- | --- | --- |\n${rows.join('\n')}`
}

function parameters(schema: z.ZodType): string {
  const json = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as {
    properties?: Record<string, { default?: unknown; description?: string }>
  }
  const rows = Object.entries(json.properties ?? {}).map(
    ([name, { default: value, description }]) =>
      `| \`${name}\` | ${value === undefined ? '' : `\`${JSON.stringify(value)}\``} | ${description ?? ''} |`,
  )
  return rows.length === 0 ? 'No parameters.' : `| parameter | default | |\n| --- | --- | --- |\n${rows.join('\n')}`
}

function queries(): string {
  return listQueries()
    .map((q) => {
      const rows = q.parameters.map(
        (p) =>
          `| \`${p.name}\` | ${p.type} | ${p.default === undefined ? 'required' : `\`${JSON.stringify(p.default)}\``} | ${p.summary} |`,
      )
      return `### ${q.name}\n\n${q.summary}${rows.length === 0 ? '' : `\n\n| parameter | type | default | |\n| --- | --- | --- | --- |\n${rows.join('\n')}`}`
    })
    .join('\n\n')
}
