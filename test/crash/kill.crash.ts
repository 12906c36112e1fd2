import assert from 'node:assert/strict'
import { it } from 'node:test'
import { temporaryDataDir } from '../end-to-end/instance.ts'
import { crashRun } from './run.ts'

const kills = Number(process.env.CORDON_KILLS ?? 50)
const seed = Number(process.env.CORDON_SEED ?? 1)

it(`loses, doubles and forgets nothing when killed at ${kills} random moments`, async (t) => {
  const verdict = await crashRun(temporaryDataDir(t), kills, seed, (line) => console.log(line))
  console.log(JSON.stringify({ seed, ...verdict }))
  assert.ok(verdict.acknowledgedFlows > 0 && verdict.answers > 0 && verdict.findings > 0, 'the run proved nothing')
  const { lost, duplicated, repeated, findingsDiffering, leasesWrong } = verdict
  assert.deepEqual(
    { lost, duplicated, repeated, findingsDiffering, leasesWrong },
    { lost: 0, duplicated: 0, repeated: 0, findingsDiffering: 0, leasesWrong: 0 },
  )
})
