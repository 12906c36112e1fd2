import { test } from 'node:test'
import { attack } from './attack.ts'

const requests = Number(process.env['HOSTILE_REQUESTS'] ?? 100_000)
const seed = Number(process.env['HOSTILE_SEED'] ?? 1)

test(`${requests} hostile requests, seed ${seed}`, async (t) => {
  const begun = Date.now()
  const tally = await attack({ requests, seed })
  const statuses = [...tally].sort(([one], [other]) => one - other).map(([status, count]) => `${status}: ${count}`)
  t.diagnostic(`${statuses.join(', ')} in ${Math.round((Date.now() - begun) / 1_000)} s`)
})
