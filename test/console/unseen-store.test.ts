import assert from 'node:assert/strict'
import { it } from 'node:test'
import { unseenOf } from '../../console/unseen.ts'
import type { Finding } from '../../schemas/index.ts'
import { chdb } from '../store/chdb-factory.ts'
import { Story, telemetry } from '../store/story.ts'
import { at, fakePorts, finding, incident } from './ports.ts'

/** What the detectors say of a node, see `detectors/coverage`. */
function gap(id: string, from: number, until: number, evidence: Finding['evidence']): Finding {
  const nobody = { principals: [], model: null, threats: [], confidence: 0 }
  return { ...finding, ...nobody, id: id.repeat(32), detector: 'coverage', window: { from, until }, time: until, evidence }
}

it("reads what the store's ledger answers", async (t) => {
  const { store, close } = await chdb()
  t.after(close)
  await store.migrate()
  const story = new Story()
  const lost = gap('1', at - 600, at + 1_000, { kind: 'dropped', node: 'node-1', pool: null, count: 3, open: false, exact: true })
  const silent = gap('2', at + 60_000, at + 90_000, { kind: 'silent', node: 'node-2', pool: null, count: 0, open: true })
  const before = gap('3', at - 90_000, at - 80_000, { kind: 'dropped', node: 'node-1', pool: null, count: 9, open: false, exact: true })
  for (const one of [lost, silent, before, finding]) story.tell('finding', one.time, one, one.id)
  for (let from = at - 5_000; from <= at + 60_000; from += 5_000) story.tell('telemetry', from, telemetry)
  await story.store(store)
  const ports = fakePorts()
  const forensics = { ...ports.forensics, query: (name: string, params: Readonly<Record<string, unknown>>) => store.query(name, params) }
  const ask = (closedAt: number | null) => unseenOf({ ...incident, closedAt }, [finding], { ...ports, forensics })
  const { state, gaps } = await ask(null)
  assert.equal(state, 'gaps')
  assert.deepEqual(gaps, [
    { from: at - 600, until: at + 1_000, blind: true, unknown: false, certain: false, sentence: 'node node-1 lost 3 events' },
    { from: at + 60_000, until: null, blind: true, unknown: false, certain: false, sentence: 'node node-2 sends nothing' },
  ])
  assert.equal((await ask(at + 30_000)).gaps.length, 1, 'what came after its end is not about it')
  const early = await unseenOf({ ...incident, openedAt: at - 70_000, closedAt: at }, [finding], { ...ports, forensics })
  assert.deepEqual(
    early.gaps.map(({ from, until, unknown }) => [from, until, unknown]),
    [
      [at - 70_000, at - 5_000, true],
      [at - 600, at + 1_000, false],
    ],
  )
  await close()
  assert.equal((await ask(null)).state, 'unknown')
})
