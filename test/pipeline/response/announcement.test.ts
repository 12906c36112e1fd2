import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { encode, newEvent } from '../../../bus/codec.ts'
import { openView } from '../../../bus/view.ts'
import { announcement } from '../../../pipeline/response/announcement.ts'
import { announceModels } from '../../../pipeline/response/announcer.ts'
import type { Heartbeat, Model } from '../../../schemas/index.ts'
import { hour, start } from '../../responders/given.ts'
import { Given, log } from '../response-given.ts'
import { until } from '../until.ts'

/** @param served `name@version` or `name@version=digest` */
function node(instance: string, served: readonly string[], changes: Partial<Heartbeat> = {}): Heartbeat {
  const models = served.map((text) => {
    const [, name = '', version = '', digest = version] = /^(.+)@([^=]+)(?:=(.+))?$/.exec(text) ?? []
    return { name, version, digest }
  })
  return {
    role: 'node',
    instance,
    version: '1',
    startedAt: start,
    at: start,
    everyMs: 1_000,
    state: 'running',
    ok: true,
    summary: '',
    assignments: [],
    snapshotAgeMs: null,
    spoolBytes: null,
    deadLetters: 0,
    blockedSince: null,
    controlStaleMs: null,
    models,
    fingerprintKey: null,
    detail: {},
    ...changes,
  }
}

function model(current: string, ...versions: string[]): Model {
  return { name: 'digits', current, versions: versions.map((version) => ({ version, digest: version, good: true })) }
}

/** The one model that changes, as `current of versions`. */
function announced(known: Model | undefined, nodes: readonly Heartbeat[], now = start): string | undefined {
  const [changed, ...others] = announcement(() => known, nodes, now)
  assert.deepEqual(others, [])
  return changed && `${changed.current} of ${changed.versions.map(({ version }) => version).join(' ')}`
}

describe('models as nodes serve them', () => {
  const rows: [string, Model | undefined, Heartbeat[], string | undefined][] = [
    ['a new model serves its newest version', undefined, [node('a', ['digits@1', 'digits@2'])], '2 of 1 2'],
    ['nothing new changes nothing', model('2', '1', '2'), [node('a', ['digits@1', 'digits@2'])], undefined],
    ['a known one goes on serving what it serves', model('1', '1'), [node('a', ['digits@1', 'digits@2'])], '1 of 1 2'],
    ['and an older version comes before it', model('2', '2'), [node('a', ['digits@1', 'digits@2'])], '2 of 1 2'],
    ['nodes are taken together', model('1', '1'), [node('a', ['digits@1', 'digits@2']), node('b', ['digits@2', 'digits@3'])], '1 of 1 2 3'],
    [
      'while one node has the current version, it stays',
      model('1', '1', '2'),
      [node('a', ['digits@2']), node('b', ['digits@1'])],
      undefined,
    ],
    ['when none has it, the newest is served', model('1', '1', '2'), [node('a', ['digits@2']), node('b', ['digits@2'])], '2 of 2'],
    [
      'a node that stopped an hour ago or less still counts',
      model('1', '1'),
      [node('a', ['digits@1'], { state: 'stopped' }), node('b', ['digits@2'])],
      '1 of 1 2',
    ],
    ['without nodes nothing is said', model('1', '1'), [], undefined],
    ['other roles serve nothing', undefined, [node('a', ['digits@1'], { role: 'detect' })], undefined],
  ]
  for (const [name, known, nodes, expected] of rows) it(name, () => assert.equal(announced(known, nodes), expected))

  it('forgets what no node that was heard of within an hour has', () => {
    const nodes = [node('a', ['digits@1']), node('b', ['digits@2'], { at: start + hour })]
    assert.equal(announced(model('1', '1', '2'), nodes, start + hour), undefined)
    assert.equal(announced(model('1', '1', '2'), nodes, start + hour + 1), '2 of 2')
  })

  it('keeps what was said of a version, and its digest while a node has it', () => {
    const known: Model = { ...model('1', '1'), versions: [{ version: '1', digest: 'x', good: false }] }
    assert.deepEqual(
      announcement(() => known, [node('a', ['digits@1=y']), node('b', ['digits@1=x'])], start),
      [],
    )
    const [changed] = announcement(() => known, [node('a', ['digits@1=y'])], start)
    assert.deepEqual(changed?.versions, [{ version: '1', digest: 'y', good: false }])
  })

  it('keeps the newest 256', () => {
    const many = Array.from({ length: 300 }, (_, i) => `digits@${i}`)
    const [changed] = announcement(() => undefined, [node('a', many)], start)
    assert.deepEqual([changed?.versions.length, changed?.versions[0]?.version, changed?.current], [256, '44', '299'])
  })
})

describe('the announcer', () => {
  it('writes while its process is in charge, and what was said before when it takes charge', async () => {
    const given = await Given.open()
    const say = (heartbeat: Heartbeat) => given.bus.publish([encode('heartbeats', newEvent('heartbeat', heartbeat, 'n', start))])
    const charge = await given.charge()
    const heartbeats = await openView(given.bus, 'heartbeats')
    const models = await openView(given.bus, 'models')
    const announcer = announceModels({ charge, heartbeats, models, clock: () => start, log, source: 'respond', lookMs: null })
    await say(node('a', ['digits@1']))
    await until('the heartbeat', () => heartbeats.size === 1)
    assert.equal(models.size, 0)
    await charge.take()
    await until('the model', () => models.get('digits')?.current === '1')
    await say(node('a', ['digits@1', 'digits@2', 'letters@1']))
    await until('the others', () => models.size === 2)
    assert.equal(models.get('digits')?.current, '1')
    charge.drop()
    await say(node('a', ['shapes@1']))
    await until('the heartbeat', () => heartbeats.get('node/a')?.models[0]?.name === 'shapes')
    await announcer.close()
    assert.equal(models.get('shapes'), undefined)
    await heartbeats.close()
    await models.close()
    await charge.close()
    await given.close()
  })
})
