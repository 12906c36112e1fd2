// Holds the imports against the table in .dependency-cruiser.mjs, and fails when it looked at nothing: a cruise
// of no module passes every rule.
import { existsSync } from 'node:fs'
import { cruise } from 'dependency-cruiser'
import extractDepcruiseOptions from 'dependency-cruiser/config-utl/extract-depcruise-options'
import extractTSConfig from 'dependency-cruiser/config-utl/extract-ts-config'

const rooms = [
  'bounded',
  'schemas',
  'access',
  'policy',
  'limits',
  'audit',
  'bus',
  'store',
  'ingest',
  'detectors',
  'responders',
  'inference',
  'pipeline',
  'console',
  'cli',
  'scripts',
  'test',
]
const options = await extractDepcruiseOptions('./.dependency-cruiser.mjs')
const present = rooms.filter((room) => existsSync(room))
const { output } = await cruise(present, options, undefined, { tsConfig: extractTSConfig('./tsconfig.json') })
if (typeof output === 'string') throw new Error('dependency-cruiser answered text where a result was expected')
const { violations, totalCruised } = output.summary
for (const { rule, from, to } of violations) console.error(`${rule.severity} ${rule.name}: ${from} → ${to}`)
const empty = present.filter((room) => !output.modules.some((module) => module.source.startsWith(`${room}/`)))
for (const room of empty) console.error(`error: no module of ${room}/ was cruised`)
console.log(`imports: ${totalCruised} modules cruised, ${violations.length} violations`)
if (totalCruised === 0 || empty.length > 0 || violations.some((v) => v.rule.severity === 'error')) process.exitCode = 1
