import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { encode, newEvent } from '../../../bus/codec.ts'
import { openView, type View } from '../../../bus/view.ts'
import { openCommander } from '../../../pipeline/commands/commander.ts'
import { announceModels, type ModelAnnouncer } from '../../../pipeline/response/announcer.ts'
import type { Charge } from '../../../pipeline/response/charge.ts'
import { promoted } from '../../../pipeline/response/promotion.ts'
import type { Heartbeat, Model, Order } from '../../../schemas/index.ts'
import { start } from '../../responders/given.ts'
import { Given, log } from '../response-given.ts'
import { until } from '../until.ts'

/** `1+ 2-` is version 1 good, 2 not; what is in brackets is current. */
function model(text: string): Model {
  const versions = text.split(' ').map((one) => ({ version: one.replaceAll(/[^0-9]/g, ''), digest: 'd', good: one.includes('+') }))
  return { name: 'digits', current: /\[(\d+)/.exec(text)?.[1] ?? '', versions }
}

function text({ current, versions }: Model): string {
  return versions.map(({ version, good }) => `${version === current ? `[${version}` : version}${good ? '+' : '-'}`).join(' ')
}

describe('a promotion', () => {
  const rows: [known: string, version: string, good: boolean, expected: string][] = [
    ['[1+ 2+', '2', false, '1+ [2+'],
    // Back to what was before, too.
    ['1+ [2+', '1', false, '[1+ 2+'],
    ['[1+ 2-', '2', true, '1+ [2+'],
    ['1+ [2+', '2', false, '1+ [2+'],
    ['[1+ 2-', '2', false, 'VERSION_NOT_GOOD'],
    ['[1+ 2+', '3', true, 'VERSION_NOT_FOUND'],
  ]
  for (const [known, version, good, expected] of rows) {
    it(`of ${version}${good ? ', said to be good,' : ''} where there are ${known} is ${expected}`, () => {
      const promote = () => promoted(model(known), { model: 'digits', version, good })
      if (expected.startsWith('V')) assert.throws(promote, { code: expected })
      else assert.equal(text(promote()), expected)
    })
  }

  it('of a model that nobody serves is refused', () => {
    assert.throws(() => promoted(undefined, { model: 'digits', version: '1', good: true }), { code: 'MODEL_NOT_FOUND' })
  })
})

describe('promoting', () => {
  const order: Order = { kind: 'promote-model', model: 'digits', version: '2', good: false }
  let given: Given
  let charge: Charge
  let models: View<Model>
  let heartbeats: View<Heartbeat>
  let announcer: ModelAnnouncer
  /** Writing waits for it. */
  let gate: Promise<void>
  let writing: number
  beforeEach(async () => {
    given = await Given.open()
    charge = await given.charge(given.bus, 'promoter')
    models = await openView(given.bus, 'models')
    heartbeats = await openView(given.bus, 'heartbeats')
    gate = Promise.resolve()
    writing = 0
    const slow = {
      get held() {
        return charge.held
      },
      term: () => charge.term(),
      follow: charge.follow.bind(charge),
      onTake: charge.onTake.bind(charge),
      publish: async (...given: Parameters<Charge['publish']>) => {
        writing++
        await gate
        return charge.publish(...given)
      },
    }
    announcer = announceModels({ charge: slow, heartbeats, models, clock: () => start, log, source: 'respond', lookMs: null })
  })
  afterEach(async () => {
    await announcer.close()
    await heartbeats.close()
    await models.close()
    await charge.close()
    await given.close()
  })

  function serve(...versions: string[]): Heartbeat {
    return {
      ...{
        role: 'node',
        instance: 'a',
        version: '0',
        startedAt: start,
        at: start,
        everyMs: 2_000,
        state: 'running',
        ok: true,
        summary: '',
      },
      ...{ assignments: [], snapshotAgeMs: null, spoolBytes: 0, deadLetters: 0, blockedSince: null, controlStaleMs: 0 },
      ...{ fingerprintKey: null, detail: {} },
      models: versions.map((version) => ({ name: 'digits', version, digest: `d${version}` })),
    } as Heartbeat
  }
  const say = (heartbeat: Heartbeat) => given.bus.publish([encode('heartbeats', newEvent('heartbeat', heartbeat, 'n', start))])

  it('is durable when it is answered, and an announcement at the same time does not take it back', async () => {
    await say(serve('1'))
    await charge.take()
    await until('the model', () => models.get('digits')?.current === '1')
    await say(serve('1', '2'))
    await until('the other version', () => models.get('digits')?.versions.length === 2)
    // An announcement has read the record, and is about to write it as it was.
    const open = Promise.withResolvers<void>()
    gate = open.promise
    writing = 0
    await say(serve('1', '2', '3'))
    await until('the announcement', () => writing === 1)
    const promoting = announcer.promote({ model: 'digits', version: '2', good: false })
    setImmediate(open.resolve)
    const made = await promoting
    assert.equal(made.current, '2')
    await until('the newest version', () => models.get('digits')?.versions.length === 3)
    assert.equal(models.get('digits')?.current, '2')
    const [before] = await given.bus.partitions('models')
    await announcer.promote({ model: 'digits', version: '2', good: false })
    assert.equal((await given.bus.partitions('models'))[0]?.end, before?.end, 'said again, nothing is written')
  })

  it('is for the process in charge alone', async () => {
    await assert.rejects(announcer.promote({ model: 'digits', version: '2', good: true }), { code: 'NOT_IN_CHARGE' })
  })

  it('is ordered like anything else, and who refuses it says why', async () => {
    const promotions: unknown[] = []
    const known = model('[1+ 2+ 3-')
    await given.start({
      models: {
        promote: async (promotion) => {
          promotions.push(promotion)
          return promoted(known, promotion)
        },
      },
    })
    const commander = await openCommander({ bus: given.bus, clock: () => given.now, log })
    const made = (await commander.order(order, 'olga')) as Model
    assert.equal(made.current, '2')
    await assert.rejects(commander.order({ ...order, version: '3' }, 'olga'), { code: 'VERSION_NOT_GOOD' })
    await assert.rejects(commander.order({ ...order, version: '' }, 'olga'), { code: 'ORDER_INVALID' })
    await commander.close()
    assert.deepEqual(
      (await given.all('commands')).map(({ by }) => by),
      ['olga', 'olga'],
    )
  })
})
