// Writes deploy/schemas/<kind>.json: the JSON Schema (draft 2020-12) of every kind of event, for readers in other
// languages. `--check` fails instead when a file is not what the contracts say.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { z } from 'zod'
import { kinds, topics } from '../schemas/index.ts'

const folder = new URL('../deploy/schemas/', import.meta.url)
const check = process.argv.includes('--check')
mkdirSync(folder, { recursive: true })
let stale = 0
for (const [kind, { schema, version }] of Object.entries(kinds)) {
  const file = new URL(`${kind}.json`, folder)
  const on = Object.values(topics).filter((topic) => topic.kind === kind)
  const text = `${JSON.stringify(
    {
      $id: `urn:cordon:schema:${kind}:${version}`,
      title: kind,
      description: `CloudEvents type dev.cordon.${kind}${on.map((topic) => `, topic ${topic.name}`).join('')}`,
      ...z.toJSONSchema(schema, { io: 'input' }),
    },
    null,
    2,
  )}\n`
  if (!check) writeFileSync(file, text)
  else if (read(file) !== text) {
    console.error(`deploy/schemas/${kind}.json is not what the contract says: run npm run schemas`)
    stale++
  }
}
if (stale > 0) process.exitCode = 1
else console.log(`${Object.keys(kinds).length} schemas ${check ? 'match' : 'written to deploy/schemas'}`)

function read(file: URL): string | null {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return null
  }
}
