import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { kinds, Name, splitTarget, Target, targetOf, timeOf, toOcsf, topics, uuidv7 } from '../../schemas/index.ts'
import { finding } from '../console/ports.ts'

describe('schemas', () => {
  it('are exported as JSON Schema, and the committed files are what the contracts say', () => {
    assert.match(execFileSync(process.execPath, ['scripts/export-schemas.ts', '--check'], { encoding: 'utf8' }), /schemas match/)
  })

  it('give every kind a topic, but those that stand on the topics of others', () => {
    const carried = new Set(Object.values(topics).map((topic) => topic.kind as string))
    assert.deepEqual(
      Object.keys(kinds).filter((kind) => !carried.has(kind)),
      ['tick', 'term'],
    )
  })

  it('ignore fields that a newer minor version adds', () => {
    const parsed = kinds.finding.schema.parse({ ...finding, addedLater: 1 })
    assert.equal('addedLater' in parsed, false)
  })

  it('carry the time in a UUIDv7, which sorts by it', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 48 - 2 }), (at) => {
        const id = uuidv7(at, randomBytes(10))
        assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
        assert.equal(timeOf(id), at)
        assert.ok(id < uuidv7(at + 1, randomBytes(10)))
      }),
      { seed: 1 },
    )
  })

  it('refuse names that would break a log line, a topic key or a path', () => {
    for (const bad of ['', ' a', 'a b', 'a\nb', '../a', 'a/b', '-a', 'a\u0000', 'a'.repeat(129), '\u202ea']) {
      assert.equal(Name.safeParse(bad).success, false, JSON.stringify(bad))
    }
    for (const good of ['alice', 'alice@example.com', 'team:a-1', 'Ünïcode', '9']) assert.equal(Name.safeParse(good).success, true, good)
  })

  it('write and split targets', () => {
    const target = targetOf('principal', 'team:alice')
    assert.equal(Target.safeParse(target).success, true)
    assert.deepEqual(splitTarget(target), { kind: 'principal', id: 'team:alice' })
    assert.equal(Target.safeParse('planet:x').success, false)
  })
})

describe('OCSF view', () => {
  it('is a Detection Finding with every required field', () => {
    const view = toOcsf(finding, '1.2.3') as Record<string, unknown>
    // Required by OCSF 1.8.0: activity_id, category_uid, class_uid, metadata, severity_id, time, type_uid, finding_info.uid
    assert.deepEqual(
      [view.activity_id, view.category_uid, view.class_uid, view.type_uid, view.severity_id, view.time],
      [1, 2, 2004, 200_401, 4, finding.time],
    )
    assert.equal((view.finding_info as { uid: string }).uid, finding.id)
    assert.equal((view.metadata as { version: string }).version, '1.8.0')
  })

  it('is an Update for later revisions', () => {
    assert.equal((toOcsf({ ...finding, revision: 1 }, '1') as { type_uid: number }).type_uid, 200_402)
  })
})
