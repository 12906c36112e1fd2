import { test } from 'node:test'
import { attack } from './attack.ts'

const requests = Number(process.env['HOSTILE_REQUESTS'] ?? 100_000)
const seed = Number(process.env['HOSTILE_SEED'] ?? 1)

test(`${requests} hostile requests, seed ${seed}`, async (t) => {
  const begun = Date.now()
  const { tally, grown } = await attack({ requests, seed })
  const statuses = [...tally].sort(([one], [other]) => one - other).map(([status, count]) => `${status}: ${count}`)
  const mebibytes = (bytes: number) => Math.round(bytes / 1_048_576)
  t.diagnostic(`${statuses.join(', ')} in ${Math.round((Date.now() - begun) / 1_000)} s`)
  t.diagnostic(`resident memory grew by ${mebibytes(grown.rss)} MiB, the heap by ${mebibytes(grown.heapUsed)} MiB`)
})
