import { test } from 'node:test'
import { attack } from './attack.ts'

const requests = Number(process.env['HOSTILE_REQUESTS'] ?? 100_000)
const seeds = (process.env['HOSTILE_SEEDS'] ?? '1,2,3').split(',').map(Number)

for (const seed of seeds) {
  test(`${requests} hostile requests, seed ${seed}`, async (t) => {
    const begun = Date.now()
    const { tally, disposed, sent, matched, logChars, grown } = await attack({ requests, seed })
    const statuses = [...tally].sort(([one], [other]) => one - other).map(([status, count]) => `${status}: ${count}`)
    const mebibytes = (bytes: number) => Math.round(bytes / 1_048_576)
    t.diagnostic(`${disposed} of ${sent} sent were disposed of, ${matched} with an answer and an event that say the same`)
    t.diagnostic(`${statuses.join(', ')} in ${Math.round((Date.now() - begun) / 1_000)} s; a log of ${logChars} characters`)
    t.diagnostic(`resident memory grew by ${mebibytes(grown.rss)} MiB, the heap by ${mebibytes(grown.heapUsed)} MiB`)
  })
}
